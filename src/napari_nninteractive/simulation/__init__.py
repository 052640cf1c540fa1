"""Synthetic images and simulated users: numpy and scipy alone, for training, evaluation and samples."""
