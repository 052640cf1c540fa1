"""Objects of many images: prompts as placed, commands, one history, the label map, files. No napari, no Qt."""
