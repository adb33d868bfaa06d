"""Rectified flow: noising, velocity and noise levels.

``xt = (1 - sigma) x0 + sigma noise``, ``velocity = noise - x0``, sigma in [0, 1].
"""

from __future__ import annotations

from torch import Tensor


def add_noise(x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Noise clean latents to a level per frame: ``xt = (1 - s) x0 + s noise``.

    Args:
        x0: clean latents ``[B, C, T, H, W]``.
        noise: of the same shape, standard normal.
        sigmas: levels in [0, 1], ``[B]`` (one a sample) or ``[B, T]`` (one a frame).

    Source: Lipman et al., arXiv 2210.02747, with the linear path used by Wan 2.1.
    """
    s = per_frame(sigmas, x0)
    return (1.0 - s) * x0 + s * noise


def velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """Flow target ``v = noise - x0``, the derivative of ``xt`` by sigma; shape of ``x0``."""
    return noise - x0


def per_frame(sigmas: Tensor, latents: Tensor) -> Tensor:
    """View levels ``[B]`` or ``[B, T]`` so that they broadcast over ``latents [B, C, T, H, W]``."""
    s = sigmas if sigmas.ndim == 2 else sigmas[:, None]
    return s[:, None, :, None, None].to(latents)


def shift_sigmas(sigmas: Tensor, shift: float) -> Tensor:
    """Move levels towards noise: ``s' = shift s / (1 + (shift - 1) s)``; shift 1 changes nothing.

    Source: Esser et al., arXiv 2403.03206, equation 23.
    """
    return shift * sigmas / (1.0 + (shift - 1.0) * sigmas)
