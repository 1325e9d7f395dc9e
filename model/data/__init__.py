"""What a recipe trains and measures on: its sets, read row by row and split so that none leaks into another."""
