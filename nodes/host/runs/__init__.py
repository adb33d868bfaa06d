"""A training run in the host: opened, attempted, saved, shown."""
