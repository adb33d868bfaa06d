"""Sample one arm of AICL's claim, in this process, with the parts behind the pack's nodes."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parts.one_shot_runs import path_correlation
from parts.sheets import write_rows

FRAMES = 49
SHOWN = ("slides right slowly", "slides up quickly", "circles clockwise", "bounces")
REFERENCES = 3


class Stage:
    """The toy model with the adapter, shared by all arms."""

    def __init__(self, options: argparse.Namespace) -> None:
        from pack.nodes.host.aicl.adapter import HostAdapter
        from pack.nodes.host.model import toy
        from pack.toy.clips import SIZES
        from pack.toy.weights import ACTIONS, FINE_ACTIONS
        from pack.training.aicl.file import load_adapter

        path = options.adapter or (FINE_ACTIONS if options.detail == toy.FINE else ACTIONS)
        options.adapter_digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        self.options = options
        self.size = SIZES["large" if options.detail == toy.FINE else "small"]  # that the base knows
        with torch.inference_mode():
            self.model, self.clip, self.vae = toy.load_model(options.detail), toy.load_clip(), toy.load_vae()
        self.adapter = HostAdapter(load_adapter(path))

    def run(self, arm: Any, group: str, seed: int, sheet: Path) -> dict[str, float]:
        """Means over motions and subjects."""
        motions = motions_of(group)
        rows, strips = [], []
        for number, motion in enumerate(motions):
            given = motions[(number + 1) % len(motions)] if arm.wrong else motion
            subjects, references = scenes_of(motion, given, self.options.subjects, seed, self.size)
            videos = self.sample(subjects, references[: arm.references], seed * 1009 + number)
            rows += [figures(video, scene, references[0]) for video, scene in zip(videos, subjects, strict=True)]
            strips += [strip_of(references[0], None), *(strip_of(scene, video) for scene, video in
                                                        zip(subjects[:2], videos, strict=False))]  # fmt: skip
        write_rows(strips, sheet)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    @torch.inference_mode()
    def sample(self, subjects: list[Any], references: list[Any], number: int) -> list[np.ndarray]:
        """A clip ``[T, H, W, 3]`` of each subject, whose captions say nothing of the motion."""
        import comfy.sample

        from pack.nodes.host.aicl.apply import apply_action
        from pack.nodes.host.aicl.encode import encode_action
        from pack.toy.world import render

        model, options = self.model, self.options
        if references:
            clips = [(torch.from_numpy(render(one, FRAMES)), self.conditioning([one])) for one in references]
            model = apply_action(model, encode_action(self.adapter, self.vae, clips), options.strength)
        latent = torch.zeros(len(subjects), 16, 1 + (FRAMES - 1) // 4, 8, 8)
        out = comfy.sample.sample(
            model, comfy.sample.prepare_noise(latent, number), options.sampling_steps, options.cfg, "euler", "simple",
            self.conditioning(subjects), self.conditioning([None] * len(subjects)), latent, seed=number,
            disable_pbar=True,
        )  # fmt: skip
        return [self.vae.decode(one[None])[0].float().cpu().numpy() for one in out]

    def conditioning(self, scenes: list[Any]) -> list[Any]:
        """CONDITIONING of what scenes show; None is the empty caption."""
        from pack.toy.pretrain.action_world import caption_of

        texts = ["" if scene is None else caption_of(scene) for scene in scenes]
        return [[torch.cat([self.clip.encode_from_tokens(self.clip.tokenize(text)) for text in texts]), {}]]


def motions_of(group: str) -> tuple[str, ...]:
    """Motions in which something changes its place."""
    from pack.toy.world import HELD_OUT_MOTIONS

    return HELD_OUT_MOTIONS if group == "held out" else SHOWN


def scenes_of(motion: str, given: str, count: int, seed: int, size: float) -> tuple[list[Any], list[Any]]:
    """Subjects with the motion asked for, and references with the motion given, of ``size`` times the world's size.

    All are objects that the adapter's training left out; none of the subjects is among the references.
    """
    from pack.toy.pretrain.action_world import objects
    from pack.toy.world import BACKGROUNDS, HELD_OUT_MOTIONS, Scene, varied

    def sized(scene: Any) -> Any:
        return replace(scene, radius=size * scene.radius)

    rng = np.random.default_rng((seed, 31, (*HELD_OUT_MOTIONS, *SHOWN).index(motion)))
    pool, papers = objects(held_out=True), list(BACKGROUNDS)
    order = rng.permutation(len(pool))
    subjects = [Scene(*pool[order[i]], papers[rng.integers(3)], motion) for i in range(count)]
    left = [pool[i] for i in order[count:]]
    references = [varied(Scene(*left[i], papers[rng.integers(3)], given), rng) for i in range(REFERENCES)]
    return [sized(one) for one in subjects], [sized(one) for one in references]


def figures(video: np.ndarray, scene: Any, reference: Any) -> dict[str, float]:
    """Path as asked and as given, what is drawn, and how much it looks like the reference."""
    from pack.methods.video_scores import score
    from pack.toy import judge
    from pack.toy.world import render

    verdict = judge.judge(video, scene)
    asked = render(replace(scene, motion="stays still"), 2)
    scores = score(torch.from_numpy(video), torch.from_numpy(render(reference, FRAMES)), asked=torch.from_numpy(asked))
    return {
        "as_asked": path_correlation(video, scene),
        "as_given": path_correlation(video, reference),
        **{name: getattr(verdict, name) for name in ("found", "colour", "shape", "background")},
        "appearance_leak": scores["appearance_leak"],
    }


def strip_of(scene: Any, video: np.ndarray | None) -> np.ndarray:
    """Nine frames of a clip, or of the scene itself."""
    from pack.toy.world import render

    clip = render(scene, FRAMES) if video is None else video
    return np.concatenate(list(clip[np.linspace(0, FRAMES - 1, 9).astype(int)]), axis=1)
