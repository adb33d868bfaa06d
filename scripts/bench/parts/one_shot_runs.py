"""Train and sample one arm of one-shot motion, in this process, with the pack's own parts."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parts.one_shot_arms import Arm
from parts.sheets import strip, write_rows

FRAMES = 49  # the length that the toy model was trained on
SOURCE = ("square", "red", "black")  # of the clip
SCORES = ("trajectory_agreement", "appearance_leak", "frame_consistency", "dynamic_degree")


class Stage:
    """The toy model, the clip that is learned from, and what is asked for afterwards; shared by all arms."""

    def __init__(self, options: argparse.Namespace) -> None:
        from pack.nodes.host.model import toy
        from pack.toy.world import Scene

        self.options = options
        with torch.inference_mode():
            self.model, self.clip, self.vae = toy.load_model(), toy.load_clip(), toy.load_vae()
        self.source = Scene(*SOURCE, options.motion)
        self.new = other_subjects(options.motion, options.subjects)
        self.known = known_motions(options.subjects)

    @torch.inference_mode()
    def text(self, caption: str) -> Tensor:
        """``[1, 77, C]``."""
        return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(caption))[0][0]

    @torch.inference_mode()
    def latents(self, frames: np.ndarray) -> Tensor:
        """``[C, T, h, w]`` of frames ``[T, H, W, 3]``, in the model's space."""
        from pack.nodes.host.model.known_model import model_space

        return model_space(self.model, self.vae.encode(torch.from_numpy(frames))[0].clone())


def other_subjects(motion: str, count: int) -> list[Any]:
    """Scenes that share neither shape nor colour nor background with the clip; the same for every arm and seed."""
    from pack.toy.world import BACKGROUNDS, COLOURS, SHAPES, Scene

    shape, colour, background = SOURCE
    pool = [
        Scene(s, c, b, motion)
        for s in SHAPES for c in COLOURS for b in BACKGROUNDS
        if s != shape and c != colour and b != background
    ]  # fmt: skip
    order = np.random.default_rng(5).permutation(len(pool))
    return [pool[i] for i in order[:count]]


def known_motions(count: int) -> list[Any]:
    """Scenes of pre-training in which something changes its place, each motion as often as the others."""
    from pack.toy.world import BACKGROUNDS, Scene, combinations

    rng = np.random.default_rng(6)
    pool = [one for one in combinations(held_out=False) if one[2].split()[0] in ("slides", "circles", "bounces")]
    motions = sorted({motion for _, _, motion in pool})
    out = []
    for i in range(count):
        own = [one for one in pool if one[2] == motions[i * len(motions) // count % len(motions)]]
        out.append(Scene(*own[rng.integers(len(own))][:2], list(BACKGROUNDS)[i % 3], own[0][2]))
    return out


def train(stage: Stage, arm: Arm, seed: int) -> Any:
    """The arm's motion LoRA, or None."""
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.trainers.motion_loras import with_lora
    from pack.nodes.host.trainers.motion_settings import stage_config
    from pack.training.core.config import TrainConfig

    if not arm.layers:
        return None
    options, video = stage.options, video_model(stage.model)
    config = TrainConfig(
        rank=options.rank, learning_rate=options.learning_rate, steps=options.steps, batch_size=options.batch,
        seed=seed, shift=options.shift, density="high_noise" if arm.terms else "uniform",
        caption_dropout=0.1 if arm.terms else 0.0, target_modules=f"regex:^(?:{getattr(video.family, arm.layers)})$",
    )  # fmt: skip
    model = stage.model
    if arm.appearance:
        first = stage_config(config, video, steps=options.appearance_steps)
        model = with_lora(model, _run(model, first, _pictures(stage, first)))
    return _run(model, config, _clip(stage, config, arm.terms))


def _pictures(stage: Stage, config: Any) -> Any:
    """Every other frame of the clip alone, called what it shows without the motion."""
    from pack.toy.world import render
    from pack.training.motion.appearance import AppearanceObjective

    frames = render(stage.source, FRAMES)[::2]
    still = replace(stage.source, motion="stays still").caption()
    captions = [{"cross_attn": stage.text(still)[0].clone()}] * len(frames)
    pictures = [stage.latents(frame[None]) for frame in frames]
    return AppearanceObjective(pictures, captions, {"cross_attn": stage.text("")[0].clone()}, config)


def _clip(stage: Stage, config: Any, terms: bool) -> Any:
    from pack.toy.world import render
    from pack.training.motion.objective import MotionObjective, MotionTerms

    caption, empty = ({"cross_attn": stage.text(text)[0].clone()} for text in (stage.source.caption(), ""))
    weights = MotionTerms() if terms else MotionTerms(0.0, 0.0)
    return MotionObjective([stage.latents(render(stage.source, FRAMES))], [caption], empty, config, terms=weights)


def _run(model: Any, config: Any, objective: Any) -> Any:
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.loop import train as loop
    from pack.training.lora.file import LoraModel

    with training_session(video_model(model), config) as session:
        loop(objective, session.predict, list(session.trained.parameters()), config)
        return LoraModel(session.trained.tensors(torch.float32))


@torch.inference_mode()
def sample(stage: Stage, lora: Any, end: float, scenes: list[Any], seed: int) -> list[np.ndarray]:
    """A clip ``[T, H, W, 3]`` for each scene, in batches of all that fit."""
    import comfy.sample

    from pack.nodes.host.sampling.motion import apply_motion

    model = stage.model if lora is None else apply_motion(stage.model, lora, 1.0, 0.0, end)
    options, videos = stage.options, []
    for first in range(0, len(scenes), 8):
        texts = torch.cat([stage.text(scene.caption()) for scene in scenes[first : first + 8]])
        latent = torch.zeros(len(texts), 16, 1 + (FRAMES - 1) // 4, 8, 8)
        number = seed * 100_003 + first
        out = comfy.sample.sample(
            model, comfy.sample.prepare_noise(latent, number), options.sampling_steps, options.cfg, "euler", "simple",
            [[texts, {}]], [[stage.text("").expand(len(texts), -1, -1), {}]], latent, seed=number, disable_pbar=True,
        )  # fmt: skip
        videos += [stage.vae.decode(one[None])[0].float().cpu().numpy() for one in out]
    return videos


def figures(stage: Stage, new: list[np.ndarray], known: list[np.ndarray]) -> dict[str, float]:
    """Means over the subjects with the new motion, and over the known motions."""
    from pack.toy import judge

    of_new = [judge.judge(video, scene) for video, scene in zip(new, stage.new, strict=True)]
    of_known = [judge.judge(video, scene) for video, scene in zip(known, stage.known, strict=True)]
    scores = [_scores(stage, video, scene) for video, scene in zip(new, stage.new, strict=True)]
    kept = judge.summary(of_known)
    return {
        **judge.summary(of_new),
        **{name: float(np.mean([one[name] for one in scores])) for name in SCORES},
        "path_correlation": _mean_correlation(new, stage.new),
        "known_path_correlation": _mean_correlation(known, stage.known),
        **{f"known_{name}": kept[name] for name in ("motion", "colour", "shape")},
    }


def _scores(stage: Stage, video: np.ndarray, scene: Any) -> dict[str, float]:
    """Against the clip that was learned from; a still of what was asked for is no leak."""
    from pack.methods.video_scores import score
    from pack.toy.world import render

    source, asked = render(stage.source, FRAMES), render(replace(scene, motion="stays still"), 2)
    return score(torch.from_numpy(video), torch.from_numpy(source), asked=torch.from_numpy(asked))


def _mean_correlation(videos: list[np.ndarray], scenes: list[Any]) -> float:
    return float(np.mean([path_correlation(video, scene) for video, scene in zip(videos, scenes, strict=True)]))


def path_correlation(video: np.ndarray, scene: Any) -> float:
    """Correlation of the object's path with the scene's, both coordinates together, in [-1, 1]; 0 without motion."""
    from pack.toy import judge

    paper = judge.find_background(video)
    centre, _, _ = judge.find_track(np.linalg.norm(video - paper, axis=-1) > judge.OBJECT_DISTANCE)
    paths = [path - path.mean(0) for path in (centre, scene.pose(len(video))[0])]
    length = float(np.sqrt((paths[0] ** 2).sum() * (paths[1] ** 2).sum()))
    return float((paths[0] * paths[1]).sum()) / length if length > 1e-6 else 0.0


def write_sheet(stage: Stage, new: list[np.ndarray], known: list[np.ndarray], path: Path) -> None:
    """Nine frames of the clip, then of four subjects with its motion and of four known motions, to look at."""
    from pack.toy.world import render

    write_rows([strip(video, 9) for video in (render(stage.source, FRAMES), *new[:4], *known[:4])], path)
