"""Tune-A-Video's attention on a MODEL of images."""
