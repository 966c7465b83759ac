"""Is it right? Inputs, guards, and the layers of correctness, for timing and for stress alike."""
