"""Commands, settings and the one-machine run. Holds no logic of the pipeline."""
