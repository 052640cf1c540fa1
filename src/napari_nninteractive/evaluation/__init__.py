"""Interaction-budget protocols and their reports."""
