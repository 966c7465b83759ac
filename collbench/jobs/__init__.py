"""Sweeps as batch jobs: profiles, job scripts, submission, monitoring and gathering; loads neither MPI nor CUDA."""
