"""What the user does in the panel, apart from drawing: prompts and tools, files, models."""
