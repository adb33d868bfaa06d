"""Clips and captions: reading, checking and encoding them."""
