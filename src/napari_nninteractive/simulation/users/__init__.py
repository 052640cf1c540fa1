"""Simulated users: where the next prompt goes, and what kind it is."""
