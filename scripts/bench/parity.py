"""How far each family's network, training step and sampling run are from diffusers': a table for docs/results.md.

    COMFYUI_PATH=... python scripts/bench/parity.py [--family Wan]

Small networks of the host's classes, with random weights, as the nodes use them; diffusers' networks with the same
weights and schedulers as published. Seeds are fixed. Where the two programs are known to compute otherwise, a second
line has the same runs with that one thing alike in both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.alike import ALIKE, alike

SUPPORT = Path(__file__).resolve().parents[2] / "tests" / "support"
STEPS, TEXT_TOKENS = 8, 512  # diffusers' Wan knows CLIP features from text by this number of tokens
LEVELS = (0.25, 0.5, 0.75)  # of the buffers
FILLED = 400  # tokens of LTXV's text that are not padding


class Subject:
    """A family's network in the host and in diffusers."""

    def __init__(self, tiny: Any) -> None:
        import tiny_families
        import tiny_sampling
        import tiny_wan

        from pack.nodes.host.model.video_model import video_model
        from pack.training.data.known_frames import KnownFrames

        base = tiny_families.fresh_model_of(tiny.name)
        self.tiny = tiny
        self.ltx = tiny in tiny_families.LTX
        self.video = video_model(
            _unshifted(base) if self.ltx else tiny_sampling.with_shift(base, 1.0 if tiny.flow else None)
        )
        self.weights = tiny_wan.weights_of(base)
        known = self.video.family.known_frames
        self.known: KnownFrames | None = known and known.leading

    @property
    def layout(self) -> Any:
        """One condition, three buffers and two targets, in patches of two where the network has such."""
        from pack.methods.tic_ft import Layout

        return Layout(1, 3, 2, LEVELS) if self.tiny.time_patch == 1 else Layout(2, 2, 2, (0.25, 0.75))

    @property
    def mask(self) -> Any:
        """Of a text that LTXV's encoder has filled up, ``[1, N]``; None for families without one."""
        import torch

        return (torch.arange(TEXT_TOKENS) < FILLED)[None].long() if "attention_mask" in self.tiny.extra else None

    def text(self, caption: str) -> dict[str, Any]:
        """A caption as the family's text encoder gives it, without a batch dimension."""
        mask = {} if self.mask is None else {"attention_mask": self.mask[0]}
        return {**self.tiny.kept, **long_text(caption, self.tiny.text_dim), **mask}

    def prompt(self, caption: str) -> Any:
        """A CONDITIONING."""
        mask = {} if self.mask is None else {"attention_mask": self.mask}
        return [
            [
                long_text(caption, self.tiny.text_dim)["cross_attn"][None],
                {"pooled_output": None, **self.tiny.extra, **mask},
            ]
        ]

    def data(self) -> Any:
        """Four pairs that make its latents."""
        from clip_pairs import encoded_pairs

        family, channels = self.video.family, self.video.channels
        side = max(16, family.spatial)
        sizes = {"width": side, "height": side, "channels": channels, "frames": 2 * family.compression}
        return encoded_pairs(clips=4, text=self.text, compression=family.compression, **sizes)

    def theirs(
        self, weights: dict[str, Any], tokens: int, image: Any = None, features: Any = None, frame_rate: float = 25.0
    ) -> Any:
        """diffusers' network; ``image`` are further input channels, ``frame_rate`` is for LTX alone."""
        import diffusers_hunyuan
        import diffusers_kandinsky
        import diffusers_ltx
        import diffusers_networks
        import tiny_families
        import torch

        if self.ltx:
            return diffusers_ltx.of(self.tiny.name, weights, frame_rate, self.mask)
        if self.tiny in tiny_families.HUNYUANS:
            network = diffusers_hunyuan.of(self.tiny, weights)
        elif self.tiny is tiny_families.KANDINSKY:
            network = diffusers_kandinsky.kandinsky(weights, self.tiny.extra["pooled_output"])
        elif not self.tiny.flow:
            network = diffusers_networks.cogvideox(weights, self.video.model.model.diffusion_model, tokens=tokens)
        else:
            network = diffusers_networks.wan(weights)

        def answer(x: Any, t: Any, text: Any) -> Any:
            if image is not None:
                x = torch.cat([x, image.expand(len(x), -1, -1, -1, -1)], dim=1)
            seen = () if features is None else (features.expand(len(x), -1, -1),)
            return network(x, t.expand(len(x)), text.expand(len(x), -1, -1), *seen)

        return answer


def _unshifted(model: Any) -> Any:
    """An LTX model, whose timesteps are noise levels, without the host's shift of its schedule."""
    from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow

    return ModelSamplingAuraFlow().patch_aura(model, 1.0)[0]


def long_text(caption: str, width: int) -> dict[str, Any]:
    """As many random tokens as the published text encoders give, or the few that other networks take."""
    import torch

    generator = torch.Generator().manual_seed(len(caption))
    return {"cross_attn": torch.randn(TEXT_TOKENS, width, generator=generator)}


def training(subject: Subject) -> tuple[float, float]:
    """A step after eight others: distances (L2) of the network's answers, and the losses' largest difference."""
    import torch
    from diffusers_networks import with_lora
    from step_apart import step_apart

    from pack.training.core.config import TrainConfig
    from pack.training.tic_ft.recipe import TicftRecipe

    channels, layout = subject.video.channels, subject.layout
    config = TrainConfig(rank=4, steps=8, batch_size=3, learning_rate=0.02, seed=2)
    compression = subject.video.family.compression
    recipe = TicftRecipe("image to video", layout, False, compression, channels, known=subject.known)
    ours = step_apart(subject.video.model, recipe, config, data=subject.data())
    timesteps = ours["timestep"].float() * (1000 if subject.ltx else 1)
    image = ours["xt"][:, channels:]
    parts = []
    for i, xt in enumerate(ours["xt"][:, :channels]):
        more = None if not image.shape[1] or not subject.known else image[i : i + 1]
        seen = None if ours["features"] is None else ours["features"][i : i + 1]
        rate = ours["frame_rate"] or 0.0
        network = subject.theirs(with_lora(subject.weights, ours["lora"]), TEXT_TOKENS, more, seen, rate)
        with torch.no_grad():
            text = ours["batch"].conditioning[i]["cross_attn"][None] if subject.ltx else ours["context"][i : i + 1]
            parts.append(network(xt[None], timesteps[i : i + 1], text))
    answer, target = torch.cat(parts), _target(subject, ours)
    loss = (answer - target)[:, :, layout.prefix :].square().flatten(1).mean(1)
    return _apart(ours["output"], answer), float(((ours["loss"] - loss) / loss).abs().max())


def _target(subject: Subject, ours: dict[str, Any]) -> Any:
    """What the network is to predict, by diffusers' own scheduler for CogVideoX."""
    import diffusers_networks

    x0, noise = ours["batch"].x0, ours["batch"].noise
    if subject.tiny.flow:
        return noise - x0
    scheduler = diffusers_networks.cogvideox_scheduler(subject.tiny.name)
    return scheduler.get_velocity(x0, noise, ours["timestep"].long())


def sampling(subject: Subject) -> float:
    """A TIC-FT run against the published algorithm: the largest difference, as a share of the largest value."""
    import published_tic_ft
    import tiny_sampling
    import torch

    from pack.nodes.host.sampling.wrappers import Context
    from pack.training.data.known_frames import FEATURES, KNOWN, UNKNOWN

    model, layout = subject.video.model, subject.layout
    prompts = tuple(subject.prompt(words) for words in ("yes", "no"))
    start = tiny_sampling.scene(layout, model=model, prompts=prompts)
    given, image, features = None, None, None
    if subject.known:
        generator = torch.Generator().manual_seed(1)
        encoded = {
            KNOWN: torch.randn(start.latent.shape[1:], generator=generator),
            FEATURES: torch.randn(10 if subject.known.pair else 5, subject.known.vision or 1, generator=generator),
        }
        found = subject.known.inputs(start.latent[0], encoded, layout.condition)
        given = {name: value[None] for name, value in found.items()}
        known = model.model.process_latent_in(given[KNOWN].clone())
        image, features = torch.cat([1 - given[UNKNOWN].expand(-1, 4, -1, -1, -1), known], 1), given.get(FEATURES)
    output = tiny_sampling.sample(Context(layout, start.x0, known=given).put_on(model), start, steps=STEPS, cfg=5.0)
    network = subject.theirs(subject.weights, TEXT_TOKENS, image, features)

    def guided(x: Any, t: Any) -> Any:
        positive, negative = (network(x, t, prompt[0][0]) for prompt in prompts)
        return negative + 5.0 * (positive - negative)

    with torch.no_grad():
        scheduler, levels = _scheduler(subject)
        expected = published_tic_ft.sample(guided, scheduler, start.clean, start.noise, levels)
    expected = model.model.process_latent_out(expected)
    return float((output - expected).abs().max() / expected.abs().max())


def _scheduler(subject: Subject) -> tuple[Any, list[float]]:
    """The scheduler that the family is published with, and the buffers' timesteps."""
    import diffusers_networks
    import numpy as np
    from diffusers import FlowMatchEulerDiscreteScheduler

    if subject.tiny.flow:
        scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / STEPS, STEPS).tolist())
        return scheduler, [level * 1000 for level in subject.layout.levels]
    scheduler = diffusers_networks.cogvideox_scheduler(subject.tiny.name)
    scheduler.set_timesteps(STEPS)
    return scheduler, [level * 1000 - 1 for level in subject.layout.levels]


def _apart(found: Any, expected: Any) -> float:
    return float((found - expected).norm() / expected.norm())


def rows(wanted: str) -> Iterator[str]:
    """Lines of Markdown."""
    import tiny_families
    import torch

    yield "| family | network's answer in training | loss of a training step | sampling with TIC-FT |"
    yield "|---|---|---|---|"
    for tiny in tiny_families.ALL:
        if wanted in tiny.name:
            print(tiny.name, file=sys.stderr)
            with torch.inference_mode():
                yield _row(tiny.name, tiny)
                if what := ALIKE.get(tiny.name.split()[0]):
                    with alike(Subject(tiny)):
                        yield _row(f"{tiny.name}, {what}", tiny)


def _row(name: str, tiny: Any) -> str:
    answer, loss = training(Subject(tiny))
    return f"| {name} | {answer:.1e} | {loss:.1e} | {sampling(Subject(tiny)):.1e} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="", help="only families whose name has this in it")
    options = parser.parse_args()
    host_pack.start(threads=1)
    sys.path += [str(folder) for folder in SUPPORT.iterdir() if folder.is_dir()]
    print("\n".join(rows(options.family)))


if __name__ == "__main__":
    main()
