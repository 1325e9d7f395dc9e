"""Workers under half of what they can do, one killed every minute: `python -m tests.benchmarks.soak`."""
