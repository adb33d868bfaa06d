"""What is done to single layers of a network in training."""
