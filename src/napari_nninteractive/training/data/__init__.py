"""What a network is trained on: episodes, from scenes or labelled volumes."""
