"""The napari widget; nothing imports it."""
