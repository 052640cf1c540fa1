"""The network in training: built, started from, saved, exported."""
