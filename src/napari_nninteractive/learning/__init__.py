"""A model learns from the objects that its user finished."""
