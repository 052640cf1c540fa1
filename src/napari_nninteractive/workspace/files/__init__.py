"""The user's work in files: sessions, recovery after a crash, the table of objects."""
