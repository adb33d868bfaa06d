"""Several processes on one run. ``group`` and ``heartbeat`` import torch.distributed and are ``train.py``'s alone."""
