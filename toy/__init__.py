"""The embedded default: a synthetic world, its judge, and a tiny video model trained on it."""
