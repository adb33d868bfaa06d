"""Variance-preserving diffusion with velocity or noise prediction, in the terms of k-samplers.

``sigma = sqrt((1 - a) / a)`` with a = cumulative alpha. A k-sampler's state is ``x = x0 + sigma noise``; the network
sees ``x / sqrt(1 + sigma^2)`` and predicts ``v = (noise - sigma x0) / sqrt(1 + sigma^2)``, or the noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .flow import key_digest, per_frame

ROUNDING = 1e-3  # of a timestep


class DdpmProcess:
    """Noise process of a network trained on discrete timesteps, CogVideoX for one.

    Levels are shares of the timesteps: level l is timestep ``ceil(l T) - 1``, level 0 is clean.

    Args:
        sigmas: sigma of each timestep, rising, ``[T]``.

    Source: Salimans and Ho, arXiv 2202.00512, appendix D (velocity); Karras et al., arXiv 2206.00364, table 1.
    """

    top = math.inf  # no sigma is higher

    def __init__(self, sigmas: Tensor) -> None:
        self.sigmas = sigmas.detach().float().cpu()
        table = torch.cat([torch.zeros(1), self.sigmas])
        self._tables = {torch.device("cpu"): (_last_levels(len(sigmas)), table)}

    @property
    def key(self) -> list[float]:
        """Numbers that tell the schedule from another."""
        return self.sigmas.tolist()

    @property
    def digest(self) -> str:
        """SHA-256 that tells this process from every other."""
        return key_digest(self.key)

    def sigma_at(self, level: Tensor) -> Tensor:
        """Sigma of levels in [0, 1], of any shape, found where they are: nothing waits for their values."""
        last, sigmas = self._tables_on(level)
        return sigmas[(level[..., None] > last).sum(-1)]

    def _tables_on(self, level: Tensor) -> tuple[Tensor, Tensor]:
        found = self._tables.get(level.device)
        if found is None:
            last, sigmas = self._tables[torch.device("cpu")]
            found = last.to(level.device), sigmas.to(level.device)
            if type(level) is Tensor:  # and not one without numbers, on which a step is only counted
                self._tables[level.device] = found
        return found

    def add_noise(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """The solver's state ``x0 + s noise`` at sigmas ``[B]`` or ``[B, T]``."""
        return x0 + per_frame(sigmas, x0) * noise

    def noise_in(self, x: Tensor, x0: Tensor, sigma: float) -> Tensor:
        """The noise that leads from ``x0`` to the state ``x`` at ``sigma`` > 0."""
        return (x - x0) / sigma

    def as_shown(self, x: Tensor, sigmas: Tensor, sigma: float | Tensor) -> Tensor:
        """States at sigmas ``[B, T]`` of their own, so that scaling by the global sigma fits them.

        ``x sqrt((1 + sigma^2) / (1 + s^2))``: the sampler divides the whole sequence by ``sqrt(1 + sigma^2)``.
        """
        s = per_frame(sigmas, x)
        return x * ((1.0 + sigma * sigma) ** 0.5 / (1.0 + s.square()).sqrt())

    def carried(self, x: Tensor, own: Tensor, denoised: Tensor, sigma: float | Tensor, last: Tensor) -> Tensor:
        """One Euler step of frames from sigmas of their own, see ``FlowProcess.carried``.

        ``x' = x + (s' - s) noise`` with ``noise = (s x / sqrt(1 + s^2) + v) / sqrt(1 + s^2)``, where the sampler made
        ``denoised = x'' / (1 + sigma^2) - v sigma / sqrt(1 + sigma^2)`` of v and of ``x''``, see ``as_shown``.

        Source: Salimans and Ho, arXiv 2202.00512, appendix D.
        """
        s, scale = per_frame(own, x), (1.0 + sigma * sigma) ** 0.5
        v = (self.as_shown(x, own, sigma) / scale - denoised * scale) / sigma
        root = (1.0 + s.square()).sqrt()
        return x + per_frame(last - own, x) * (s * x / root + v) / root

    def network_input(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """What the network sees: ``(x0 + s noise) / sqrt(1 + s^2)``."""
        s = per_frame(sigmas, x0)
        return (x0 + s * noise) / (1.0 + s.square()).sqrt()

    def target(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
        """What the network predicts: ``v = (noise - s x0) / sqrt(1 + s^2)``."""
        s = per_frame(sigmas, x0)
        return (noise - s * x0) / (1.0 + s.square()).sqrt()


class NoisePrediction(DdpmProcess):
    """The same process of a network that predicts the noise itself, Stable Diffusion 1.x for one.

    Source: Ho et al., arXiv 2006.11239, equation 14.
    """

    def carried(self, x: Tensor, own: Tensor, denoised: Tensor, sigma: float | Tensor, last: Tensor) -> Tensor:
        """One Euler step ``x' = x + (s' - s) noise``, see ``FlowProcess.carried``; ``denoised = x'' - sigma noise``."""
        return x + per_frame(last - own, x) * (self.as_shown(x, own, sigma) - denoised) / sigma

    def target(self, x0: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:  # noqa: ARG002 - as others have it
        """What the network predicts: the noise."""
        return noise


def _last_levels(count: int) -> Tensor:
    """The last level before each timestep is reached, ``[count]``: ``(k + ROUNDING) / count``, rounded down.

    In float32, which has no level between: Apple's devices have no float64.
    """
    timesteps = torch.arange(count, dtype=torch.float64)
    nearest = ((timesteps + ROUNDING) / count).float()
    beyond = nearest.double() * count - ROUNDING > timesteps
    return torch.where(beyond, torch.nextafter(nearest, torch.zeros(())), nearest)


def snr_shifted(sigmas: Tensor, scale: float) -> Tensor:
    """Sigmas of a schedule whose cumulative alpha was shifted: ``a' = a / (scale + (1 - scale) a)``.

    In sigmas that is ``s' = sqrt(scale) s``; scale 1 changes nothing.

    Source: Hang et al. as used by CogVideoX, arXiv 2408.06072, section 3.2; diffusers' ``snr_shift_scale``.
    """
    return sigmas * math.sqrt(scale)


def zero_terminal_snr(sigmas: Tensor, last: float) -> Tensor:
    """Sigmas of the schedule stretched so that the last timestep is pure noise.

    ``r = 1 / sqrt(1 + s^2)``; ``r' = (r - r_T) r_0 / (r_0 - r_T)``. The last sigma would be infinite, it is ``last``.

    Source: Lin et al., arXiv 2305.08891, algorithm 1.
    """
    root = (1.0 + sigmas.double().square()).rsqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    stretched = (root[:-1].square().reciprocal() - 1.0).sqrt()
    return torch.cat([stretched, stretched.new_tensor([last])]).to(sigmas)
