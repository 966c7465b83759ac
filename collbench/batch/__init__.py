"""Batch systems behind one protocol: Slurm and PBS Pro, each a module; loads neither MPI nor CUDA."""
