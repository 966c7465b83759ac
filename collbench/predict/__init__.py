"""What a model takes on an engine and a machine: time per token from latencies of collectives."""
