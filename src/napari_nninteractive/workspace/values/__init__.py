"""What the user drew and asked for, and what came of it, as values."""
