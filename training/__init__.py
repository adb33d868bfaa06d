"""Clips, caches and the training loop in plain torch; nothing here imports the host."""
