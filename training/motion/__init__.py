"""One-shot motion: the appearance stage and the motion stage."""
