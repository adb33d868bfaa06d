"""Tune-A-Video: what is encoded, which layers are trained, and their file."""
