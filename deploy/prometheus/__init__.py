"""Prometheus for this pipeline: a configuration for compose.yaml, and one rendered for a run on one machine."""
