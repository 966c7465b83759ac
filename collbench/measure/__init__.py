"""Sweeps: launches, runner, timing, rows, sidecar, and tuning."""
