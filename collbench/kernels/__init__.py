"""A kernel from its file to a call: on GPUs, on CPU ranks, in the emulator."""
