"""What is evaluated: sessions and methods without a network, and the users that prompt them."""
