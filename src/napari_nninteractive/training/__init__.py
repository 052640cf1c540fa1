"""Synthetic scenes and the training loop."""
