"""Micro-benchmarks for collectives on GPU clusters: how fast, how right, and faster than what."""

__version__ = "0.1.0"
