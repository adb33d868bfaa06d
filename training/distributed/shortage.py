"""Whether an error says that there was too little memory."""

from __future__ import annotations

import torch

from .processes import PeerError

KINDS = (MemoryError, torch.OutOfMemoryError)
SIGNS = (
    "out of memory",  # CUDA, HIP, MPS, XPU
    "defaultcpuallocator",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "out_of_device_memory",  # XPU: Level Zero, and torch's adapter over it
    "out_of_host_memory",
    "out_of_resources",
    "not enough gpu video memory",  # DirectML
)


def lacks_memory(error: BaseException | None, kinds: tuple[type[BaseException], ...] = KINDS) -> bool:
    """Whether an error, or what caused it, is of ``kinds`` or one of torch's plain ones of allocators."""
    while error is not None and not isinstance(error, PeerError):  # which says what is the matter with another process
        if isinstance(error, kinds) or (isinstance(error, RuntimeError) and _says_so(str(error))):
            return True
        error = error.__cause__
    return False


def _says_so(text: str) -> bool:
    text = text.lower()
    return any(sign in text for sign in SIGNS)
