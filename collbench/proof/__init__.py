"""Correctness: inputs, guards and the layers of the proof, for timed sweeps and for ``verify``."""
