"""How good a bundle is, and how that is told: scores, calibration, checks, cards. Runs where bundles serve."""
