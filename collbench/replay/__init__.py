"""The collectives of a pass of an engine in their order, as one CUDA graph."""
