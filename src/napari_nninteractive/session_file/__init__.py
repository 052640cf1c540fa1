"""The one session file: what the panel saves, and what sessions, the command line and evaluation read and write."""
