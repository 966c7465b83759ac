"""Sweeps as Slurm jobs: profiles, job scripts, submission, monitoring and gathering; loads neither MPI nor CUDA."""
