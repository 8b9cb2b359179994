"""What is measured: each module here is run as a process of its own by ``benchmarks.contender``."""
