"""Files of other benchmarks as rows of ours: each format is a module, behind the protocol of ``measured``."""
