"""Train and sample one arm of the ablation, in this process, with the pack's own parts."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parts.ablation_arms import KIND, TASK, Arm
from parts.sheets import strip, write_rows

METRICS = ("condition_fidelity", "frame_consistency", "dynamic_degree", "flow_agreement", "ssim")
SPLITS = ("validation", "test")


class Stage:
    """The toy model and the held-out conditions of a split, shared by all arms."""

    def __init__(self, options: argparse.Namespace) -> None:
        from pack.nodes.host.model import toy
        from pack.toy import weights

        self.options = options
        weights.BASE = options.weights or weights.BASE
        with torch.inference_mode():
            self.model, self.clip, self.vae = toy.load_model(), toy.load_clip(), toy.load_vae()
        self.samples = held_out(options.split, options.conditions, options.objects)
        self.base = fingerprint()

    @torch.inference_mode()
    def encode_text(self, text: str) -> Tensor:
        """``[1, 77, C]``."""
        return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text))[0][0]

    @torch.inference_mode()
    def latents(self, samples: list[Any], recipe: Any) -> list[Tensor]:
        """``x0 [C, F, h, w]`` of each sample, as the VAE gives them."""
        found = []
        for sample in samples:
            parts = {name: self.vae.encode(clip)[0] for name, clip in recipe.clips(sample).items()}
            found.append(recipe.assemble(parts)["x0"])
        return found


def fingerprint() -> str:
    """Of the network's file, so that figures of another one are not taken for this one's."""
    from pack.toy import weights

    return hashlib.sha256(weights.BASE.read_bytes()).hexdigest()[:16]


def held_out(split: str, count: int, objects: str = "small") -> list[Any]:
    """Samples of combinations that neither pre-training nor the other split has; the same for every arm and seed."""
    from pack.toy import clips, world

    pool = world.combinations(held_out=True)
    order = np.random.default_rng(11).permutation(len(pool))
    own = {pool[i] for i in order[SPLITS.index(split) :: len(SPLITS)]}
    drawn = clips.make_samples(KIND, 4 * count, 11, "held out", clips.SIZES[objects])
    return [s for s in drawn if (s.scene.shape, s.scene.colour, s.scene.motion) in own][:count]


def recipe_of(arm: Arm) -> Any:
    """What a pair becomes; with ``replace`` the condition fills the buffers' places too."""
    from pack.methods.tic_ft import Layout
    from pack.training.tic_ft.objective import TicftRecipe

    layout = Layout(1, arm.buffers, arm.target, arm.levels) if arm.levels else Layout.linear(1, arm.buffers, arm.target)
    if arm.replace:
        layout = Layout(layout.prefix, 0, arm.target)
    return TicftRecipe(TASK, layout, arm.joint)


def train(stage: Stage, arm: Arm, seed: int, steps: tuple[int, ...] | None = None) -> dict[int, dict[str, Tensor]]:
    """LoRA tensors at each of the given steps, else at the arm's own."""
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig
    from pack.training.core.loop import train as run

    options, steps = stage.options, steps or arm.steps
    config = TrainConfig(
        rank=arm.rank or options.rank, learning_rate=options.learning_rate, steps=max(steps),
        batch_size=options.batch, seed=seed, shift=options.shift, caption_dropout=options.caption_dropout,
        per_frame_timesteps=arm.per_frame,
    )  # fmt: skip
    saved = {}
    with positions(stage.model, arm), training_session(video_model(stage.model), config) as session:
        objective = make_objective(stage, arm, seed, config)

        def keep(step: int, _: Any) -> None:
            if step in steps:
                saved[step] = session.trained.tensors()

        run(objective, session.predict, session.trained.parameters(), config, on_step=keep)
    return saved


def make_objective(stage: Stage, arm: Arm, seed: int, config: Any) -> Any:
    """TIC-FT's objective on a seed's pairs, or that of the ``replace`` baseline."""
    from pack.methods import flow, tic_ft
    from pack.nodes.host.model.known_model import model_space
    from pack.nodes.host.model.toy import dataset_of
    from pack.toy import clips
    from pack.training.core.objective import StepLoss
    from pack.training.tic_ft.objective import TicftObjective

    class Replace(TicftObjective):
        """Every frame at the global level; the loss still counts target frames alone."""

        def loss(self, predict: Any, batch: Any) -> Any:
            prediction = predict(flow.add_noise(batch.x0, batch.noise, batch.sigma), batch.sigma, batch.conditioning)
            error = tic_ft.target_loss(prediction, flow.velocity(batch.x0, batch.noise), self.layout)
            return StepLoss(error, batch.sigma)

    recipe = recipe_of(arm)
    size = clips.SIZES[stage.options.objects]
    samples = dataset_of(clips.make_samples(KIND, stage.options.pairs, seed, "training", size), KIND).samples
    x0 = [model_space(stage.model, latents.clone()) for latents in stage.latents(list(samples), recipe)]
    captions = [{"cross_attn": stage.encode_text(recipe.captions(sample)["caption"])[0].clone()} for sample in samples]
    empty = {"cross_attn": stage.encode_text("")[0].clone()}
    return (Replace if arm.replace else TicftObjective)(x0, captions, empty, recipe, config)


@torch.inference_mode()
def sample(stage: Stage, arm: Arm, lora: dict[str, Tensor] | None, seed: int) -> list[np.ndarray]:
    """A clip ``[T, H, W, 3]`` of the target frames for each held-out condition."""
    import comfy.sd

    from pack.methods.tic_ft import pixel_frames

    model = stage.model
    if lora is not None:
        model, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    recipe, size = recipe_of(arm), stage.options.sampling_batch
    clean = torch.stack(stage.latents(stage.samples, recipe))
    texts = torch.cat([stage.encode_text(recipe.captions(one)["caption"]) for one in stage.samples])
    start = pixel_frames(recipe.layout.prefix)
    videos: list[np.ndarray] = []
    for first in range(0, len(clean), size):
        part = slice(first, first + size)
        out = _sample_batch(stage, model, arm, recipe.layout, clean[part], texts[part], seed * 100_003 + first)
        videos += [stage.vae.decode(out[i : i + 1])[0][start:].float().cpu().numpy() for i in range(len(out))]
    return videos


def _sample_batch(stage: Stage, model: Any, arm: Arm, layout: Any, clean: Tensor, texts: Tensor, seed: int) -> Tensor:
    import comfy.sample

    from pack.nodes.host.sampling.wrappers import Context

    latent = stage.model.model.process_latent_out(torch.zeros_like(clean))
    latent[:, :, : layout.prefix] = clean[:, :, : layout.prefix]
    mask = None
    if arm.replace:  # the host noises what is masked out to the level of every step
        mask = torch.ones(1, 1, layout.frames, 1, 1)
        mask[:, :, : layout.prefix] = 0.0
    else:
        extra = getattr(stage.options, "extra_steps", True)  # of the benches, one compares both ways
        context = Context(layout, latent[:, :, : layout.prefix].clone(), arm.per_frame, extra_steps=extra)
        model = context.put_on(model)
    empty = stage.encode_text("").expand(len(texts), -1, -1)
    options = stage.options
    with positions(stage.model, arm):
        return comfy.sample.sample(
            model, comfy.sample.prepare_noise(latent, seed), options.sampling_steps, options.cfg, "euler", "simple",
            [[texts, {}]], [[empty, {}]], latent, noise_mask=mask, seed=seed, disable_pbar=True,
        )  # fmt: skip


@contextmanager
def positions(model: Any, arm: Arm) -> Iterator[None]:
    """While it is open, condition and target of the network both count their frames from 0 where an arm has it so.

    As LTX-Video's IC-LoRA lays its reference tokens: over the target, told apart by their timestep alone.
    """
    network, condition = model.model.diffusion_model, recipe_of(arm).layout.condition
    usual = network.rope_encode

    def encode(t: int, h: int, w: int, **options: Any) -> Tensor:
        turns = usual(t, h, w, **options)  # 1 (T H W) 1 ...
        a_frame = turns.shape[1] // t
        return torch.cat([turns[:, : condition * a_frame], turns[:, : (t - condition) * a_frame]], dim=1)

    if arm.own_positions:
        network.rope_encode = encode
    try:
        yield
    finally:
        if arm.own_positions:
            del network.rope_encode


def figures(stage: Stage, videos: list[np.ndarray]) -> dict[str, float]:
    """Means over the conditions: the judge's verdicts and the net-free scores."""
    from pack.methods.video_scores import score
    from pack.toy import judge

    verdicts, scores = [], []
    for video, one in zip(videos, stage.samples, strict=True):
        verdicts.append(judge.judge(video, one.scene, one.start))
        truth = one.target.frames()[: len(video)]
        scores.append(score(torch.from_numpy(video), truth, one.conditions[0].frames()))
    means = {name: float(np.mean([found[name] for found in scores])) for name in METRICS}
    return {**judge.summary(verdicts), **means}


def write_sheet(stage: Stage, videos: list[np.ndarray], path: Path) -> None:
    """Eight conditions with nine frames of what was made of each, to look at."""
    shown = list(zip(videos, stage.samples, strict=True))[:8]
    write_rows([strip(video, 9, one.conditions[0].frames()[0].numpy()) for video, one in shown], path)
