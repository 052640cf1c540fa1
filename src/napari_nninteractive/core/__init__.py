"""What a prompt, a box and a volume are: numpy, scipy and scikit-image only."""
