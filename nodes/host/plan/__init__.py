"""What a training will take, measured before it starts."""
