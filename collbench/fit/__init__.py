"""Models of the latency of collectives, and fits of them to measurements."""
