"""What measuring and proving need of a processor and its memory: the protocol, and CPU and GPU, which keep it."""
