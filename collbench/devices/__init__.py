"""The ``Device`` protocol, through which measurements and proofs use a processor and its memory, for CPU and GPU."""
