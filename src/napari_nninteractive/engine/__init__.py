"""From prompts to masks: the model, AutoZoom, refinement and the session."""
