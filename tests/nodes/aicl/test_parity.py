"""A training step of AICL equals one in plain torch: diffusers' network, hooks of its own, sample by sample."""

from __future__ import annotations

from typing import Any

import diffusers_networks
import pytest
import tiny_aicl
import torch
from aicl_runs import objective_of, stirred
from torch import Tensor, nn

from pack.methods.aicl import DropRates, build
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.aicl import aicl_session
from pack.training.aicl.file import INTEGRATIONS, PRISM
from pack.training.core.batches import StepGenerators, batch_indices
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


class Oracle:
    """The adapter in plain torch, in diffusers' network, by the method's definition."""

    def __init__(self, name: str, model: Any, sizes: Any, tensors: dict[str, Tensor]) -> None:
        self.name, self.network, self.frames = name, model.model.diffusion_model, 1
        self.prism, self.integrations = build(sizes, nn)
        for module, prefix in ((self.prism, PRISM), (self.integrations, INTEGRATIONS)):
            part = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            module.load_state_dict(part)
        self.tokens: list[tuple[Tensor, Tensor]] = []  # of the sample under way
        weights = {key: value.clone() for key, value in self.network.state_dict().items()}
        if name == "Wan 2.1":
            self.answer = diffusers_networks.wan(weights, self.hook_wan)
        else:
            self.answer = diffusers_networks.cogvideox(weights, self.network, self.hook_cogvideox)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.prism.parameters(), *self.integrations.parameters()]

    def added(self, number: int, x: Tensor) -> Tensor:
        """What a block's integration adds to its tokens, keys of all references side by side."""
        block = self.integrations[f"blocks.{number}"]
        keys = [block.attention.keys_values(tokens, times) for tokens, times in self.tokens]
        both = tuple(torch.cat([pair[part] for pair in keys], dim=1) for part in (0, 1))
        return block(x.unflatten(1, (self.frames, -1)), both).flatten(1, 2)

    def hook_wan(self, network: Any) -> None:
        """Behind the text's cross-attention, whose residual diffusers adds itself."""
        for number, block in enumerate(network.blocks):
            seen: dict[str, Tensor] = {}
            block.norm2.register_forward_pre_hook(lambda _m, args, seen=seen: seen.update(x=args[0]))
            block.attn2.register_forward_hook(
                lambda _m, _args, out, seen=seen, number=number: out + self.added(number, seen["x"] + out)
            )

    def hook_cogvideox(self, network: Any) -> None:
        """In front of the feed-forward's norm, and again in the residual around it."""
        for number, block in enumerate(network.transformer_blocks):
            seen: dict[str, Tensor] = {}

            def before(_m: Any, args: Any, seen: dict = seen, number: int = number) -> Any:
                seen["added"] = self.added(number, args[0])
                return (args[0] + seen["added"], *args[1:])

            block.norm2.register_forward_pre_hook(before)
            block.register_forward_hook(lambda _m, _args, out, seen=seen: (out[0] + seen["added"], *out[1:]))

    def loss(self, batch: Any, process: Any) -> Tensor:
        """Mean over the samples, one after the other."""
        losses = []
        for i, conditioning in enumerate(batch.conditioning):
            count = sum(key.startswith("aicl_latents_") for key in conditioning)
            made = [
                self.prism(conditioning[f"aicl_latents_{j}"][None], conditioning[f"aicl_text_{j}"][None])
                for j in range(count)
            ]
            self.tokens = [(one.tokens, one.times) for one in made]
            x0, noise, level = batch.x0[i : i + 1], batch.noise[i : i + 1], float(batch.sigma[i])
            text = conditioning["cross_attn"][None]
            self.frames = x0.shape[2]
            if self.name == "Wan 2.1":
                xt, target, timestep = (1 - level) * x0 + level * noise, noise - x0, 1000 * level
            else:
                s = float(process.sigma_at(torch.tensor([level])))
                scale = (1 + s * s) ** 0.5
                xt, target = (x0 + s * noise) / scale, (noise - s * x0) / scale
                timestep = float((process.sigmas - s).abs().argmin())
            error = self.answer(xt, torch.tensor([timestep]), text) - target
            losses.append(error.square().mean())
        return torch.stack(losses).mean()


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 2B", "CogVideoX 5B"])
def test_a_step_equals_plain_torch(name):
    config = TrainConfig(batch_size=2, steps=1, learning_rate=1e-3, max_grad_norm=0.5, seed=3)
    objective = objective_of(name, config, drops=DropRates(0.0, 0.0, 0.0))
    model = repaired(tiny_aicl.model_of(name))
    with aicl_session(video_model(model), config, objective) as session:
        stirred(session.trained)
        start = session.trained.tensors()
        indices = batch_indices(config.seed, 0, objective.size, 2, objective.groups)
        batch = objective.batch(indices, StepGenerators.at(config.seed, 0))
        result = train(objective, session.predict, session.trained.parameters(), config)
        gradients = [parameter.grad for parameter in session.trained.parameters()]
        moved = [parameter.detach().clone() for parameter in session.trained.parameters()]
    oracle = Oracle(name, tiny_aicl.model_of(name), objective.aicl.sizes, start)
    optimizer = torch.optim.AdamW(oracle.parameters, lr=1e-3, betas=config.betas, weight_decay=config.weight_decay)
    loss = oracle.loss(batch, objective.process)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(oracle.parameters, 0.5)
    torch.testing.assert_close(torch.tensor(result.losses[0]), loss.detach(), **CLOSE)
    for gradient, own in zip(gradients, oracle.parameters, strict=True):
        torch.testing.assert_close(gradient, own.grad, **CLOSE)
    optimizer.step()
    for value, own in zip(moved, oracle.parameters, strict=True):
        clear = own.grad.abs() > 1e-3 * own.grad.abs().max()  # the first step takes the sign of the others
        torch.testing.assert_close(value[clear], own.detach()[clear], atol=1e-4, rtol=0)
