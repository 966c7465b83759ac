"""Clusters on one machine, for the tests: hosts joined by a network with delay, a Slurm, and an OpenPBS."""
