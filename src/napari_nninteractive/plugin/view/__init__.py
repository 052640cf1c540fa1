"""The controls of the panel: Qt only."""
