"""Weights in files: where a run starts, how it goes on, what it leaves."""
