"""The command ``doctor``: checks of MPI, launcher, network and GPUs, each with a cure for what is wrong."""
