"""Proof under stress: stories on ranks, and kernels in the emulator."""
