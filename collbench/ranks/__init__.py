"""MPI ranks: the world, launchers, starting ranks, and aborting all of them after a failure."""
