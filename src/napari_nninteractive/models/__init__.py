"""The built-in model: weights shipped as package data."""
