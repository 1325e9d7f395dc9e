"""From a recipe to a run: the network, its steps and what they leave behind. Needs the extra `train`."""
