"""How fast the stream is: `python -m tests.benchmarks.stream`."""
