"""The judge: windows in, alerts out. Computes no windows of its own."""
