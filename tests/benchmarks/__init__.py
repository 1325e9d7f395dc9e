"""Measurements, not tests: each prints a table and says how it was made."""
