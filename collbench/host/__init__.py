"""Probes of this machine, without MPI and without CUDA."""
