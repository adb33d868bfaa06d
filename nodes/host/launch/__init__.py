"""A run outside the graph: the host without its server, for ``train.py``."""
