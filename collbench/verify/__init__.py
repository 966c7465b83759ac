"""The command ``verify``: stories on ranks, which prove every answer under stress, and kernels in the emulator."""
