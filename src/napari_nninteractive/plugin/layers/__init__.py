"""napari's layers: where prompts are drawn and objects appear."""
