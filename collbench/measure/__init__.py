"""A sweep: defaults, launches, runner, timing, rows, sidecar."""
