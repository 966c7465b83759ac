"""What ranks do together: the world, launchers, starting ranks, how a failure ends them."""
