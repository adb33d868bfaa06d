"""A run and its folder: saving, resuming, commands, metrics."""
