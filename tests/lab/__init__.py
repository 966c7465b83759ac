"""Clusters on one machine, for the tests: hosts that a network with delay lies between, and a Slurm."""
