"""Rectified flow: noising, velocity and noise levels.

``xt = (1 - sigma) x0 + sigma noise``, ``velocity = noise - x0``, sigma in [0, 1].
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

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


class FlowProcess:
    """Noise process of a flow network; levels and sigmas are the same numbers, in [0, 1].

    Has the methods of ``ddpm.DdpmProcess``, so that a method works with either.
    """

    top = 1.0  # no sigma is higher
    key: tuple[float, ...] = ()  # there is but one

    @property
    def digest(self) -> str:
        """SHA-256 that tells this process from every other."""
        return key_digest(self.key)

    def sigma_at(self, level: Tensor) -> Tensor:
        """Sigma of levels in [0, 1]: the levels."""
        return level

    def add_noise(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """The solver's state, see ``add_noise``."""
        return add_noise(x0, noise, sigmas)

    def noise_in(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
        """The noise that leads from ``x0`` to the state ``x`` at ``sigma`` > 0: ``(x - (1 - s) x0) / s``."""
        return (x - (1.0 - sigma) * x0) / sigma

    def as_shown(self, x: Tensor, sigmas: Tensor, sigma: float | Tensor) -> Tensor:  # noqa: ARG002 - as others have it
        """States at sigmas of their own; the sampler scales nothing, so they are shown as they are."""
        return x

    def carried(self, x: Tensor, own: Tensor, denoised: Tensor, sigma: float | Tensor, last: Tensor) -> Tensor:
        """One Euler step of frames from sigmas of their own, with the velocity of an evaluation at the global sigma.

        ``x' = x + (s' - s) v`` with ``v = (x - denoised) / sigma``, as the sampler takes x0 from the velocity.

        Args:
            x: states ``[B, C, T, H, W]`` at sigmas ``own [B, T]``, as they were given to the sampler's network.
            own: sigmas of the states.
            denoised: what the sampler made of the network's answer, of the shape of ``x``.
            sigma: the global one of that evaluation, > 0.
            last: sigmas to go to, ``[B, T]``.
        """
        return x + per_frame(last - own, x) * (x - denoised) / sigma

    def network_input(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """What the network sees, see ``add_noise``."""
        return add_noise(x0, noise, sigmas)

    def target(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:  # noqa: ARG002 - as others have it
        """What the network predicts, see ``velocity``."""
        return velocity(x0, noise)


class NoiseProcess(Protocol):
    """How a network's frames are noised and what it predicts; the methods are described at ``FlowProcess``."""

    top: float

    @property
    def key(self) -> Sequence[float]: ...

    @property
    def digest(self) -> str: ...

    def sigma_at(self, level: Tensor) -> Tensor: ...

    def add_noise(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor: ...

    def noise_in(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor: ...

    def as_shown(self, x: Tensor, sigmas: Tensor, sigma: float | Tensor) -> Tensor: ...

    def carried(self, x: Tensor, own: Tensor, denoised: Tensor, sigma: float | Tensor, last: Tensor) -> Tensor: ...

    def network_input(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor: ...

    def target(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor: ...


def key_digest(key: Sequence[float]) -> str:
    """SHA-256 of the numbers that tell noise processes apart, as hexadecimal digits."""
    return hashlib.sha256(repr(list(key)).encode()).hexdigest()


FLOW = FlowProcess()


def per_frame(sigmas: Tensor, latents: Tensor) -> Tensor:
    """View levels ``[B]`` or ``[B, T]`` so that they broadcast over ``latents [B, C, T, H, W]``."""
    s = sigmas if sigmas.ndim == 2 else sigmas[:, None]
    return s[:, None, :, None, None].to(latents)


def shift_sigmas(sigmas: Tensor, shift: float) -> Tensor:
    """Move levels towards noise: ``s' = shift s / (1 + (shift - 1) s)``; shift 1 changes nothing.

    Source: Esser et al., arXiv 2403.03206, equation 23.
    """
    return shift * sigmas / (1.0 + (shift - 1.0) * sigmas)
