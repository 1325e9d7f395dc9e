"""Tiny networks that are trained, fetched and exported for real: beyond `make check`."""
