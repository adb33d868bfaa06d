"""The public base models: their files, and the workflows that are of one of them alone."""
