"""Tune and sample one arm of Tune-A-Video's ablations, in this process, with the parts behind the pack's nodes."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import torch

MOTIONS = ("zigzags", "circles clockwise", "bounces", "loops in a figure eight", "swings")  # in turn, by seed
LENGTH = 49  # frames of the whole clip
SAMPLER, SCHEDULER = "ddim", "normal"


class Stage:
    """The toy image model, and where tuned runs are kept."""

    def __init__(self, options: argparse.Namespace) -> None:
        import folder_paths

        from pack.nodes.host.model import toy_image

        self.options = options
        folder_paths.set_output_directory(str(options.out / "output"))
        with torch.inference_mode():
            self.model, self.clip = toy_image.load_image_model(), toy_image.load_image_clip()
            self.vae = toy_image.load_image_vae()

    def encode_text(self, text: str) -> list[Any]:
        """CONDITIONING of a prompt."""
        return [[self.clip.encode_from_tokens(self.clip.tokenize(text)), {}]]


def scene_of(seed: int) -> Any:
    """What a seed's clip shows."""
    from pack.toy import pictures, world

    rng = np.random.default_rng((seed, 7))
    shown = pictures.objects(held_out=False)
    shape, colour, background = shown[rng.integers(len(shown))]
    return world.Scene(shape, colour, background, MOTIONS[seed % len(MOTIONS)])


def edits_of(scene: Any) -> list[Any]:
    """The same with one thing changed: three shapes, two colours, two backgrounds, one look."""
    from pack.toy import world

    def others(values: Any, own: str) -> list[str]:
        return [value for value in values if value != own]

    return [
        *(replace(scene, shape=shape) for shape in others(world.SHAPES, scene.shape)),
        *(replace(scene, colour=colour) for colour in others(world.COLOURS, scene.colour)[:2]),
        *(replace(scene, background=name) for name in others(world.BACKGROUNDS, scene.background)),
        replace(scene, look="blueprint"),
    ]


def videos_of(stage: Stage, arm: Any, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The source clip and a clip of each edit, ``[T, H, W, 3]``."""
    from pack.toy import pictures, world

    options, scene = stage.options, scene_of(seed)
    picks = slice(0, (options.frames - 1) * options.stride + 1, options.stride)
    source = world.render(scene, LENGTH)[picks]
    model = tuned_model(stage, arm, scene, seed)
    with torch.inference_mode():
        start = start_of(stage, arm, model, source, seed)
        videos = [_sample(stage, model, pictures.caption_of(edit), start, seed) for edit in edits_of(scene)]
    return source, videos


def tuned_model(stage: Stage, arm: Any, scene: Any, seed: int) -> Any:
    """The image model that sees clips, tuned on the scene if the arm is."""
    from pack.methods.tune_a_video import Tuned
    from pack.nodes.host.model.encoders import encode_dataset
    from pack.nodes.host.model.image_model import base_of, trainable_image_model
    from pack.nodes.host.model.toy import dataset_of
    from pack.nodes.host.session.clip import Form
    from pack.nodes.host.trainers.tune_a_video import TuningRequest, train_tune_a_video
    from pack.nodes.host.tune_a_video.apply import apply_tuned
    from pack.toy.clips import SceneClip, ToySample
    from pack.toy.pictures import caption_of
    from pack.training.tune_a_video.objective import PUBLISHED
    from pack.training.tune_a_video.recipe import FrameWindow

    tuned = Tuned(base_of(stage.model), sparse_causal=arm.sparse_causal)
    if arm.tuned:
        options = stage.options
        sample = ToySample(SceneClip(scene, tuple(range(LENGTH))), caption_of(scene), scene)
        encoded, _ = encode_dataset(dataset_of([sample], "one clip"), stage.vae, stage.clip, cache=False)
        config = replace(PUBLISHED, learning_rate=options.learning_rate, steps=options.steps, seed=seed)
        form, window = Form(sparse_causal=arm.sparse_causal), FrameWindow(options.frames, options.stride)
        _, tuned = train_tune_a_video(trainable_image_model(stage.model), encoded, config, TuningRequest(form, window))
    return apply_tuned(stage.model, tuned, 1.0)


def start_of(stage: Stage, arm: Any, model: Any, source: np.ndarray, seed: int) -> Any:
    """The state that sampling begins with: the inverted clip, or fresh noise (None)."""
    from pack.nodes.host.sampling.inversion import invert
    from pack.nodes.host.sampling.inversion_inputs import InversionSettings

    if not arm.inverted:
        return None
    latent = {"samples": stage.vae.encode(torch.from_numpy(source))}
    order = InversionSettings(stage.options.sampling_steps, scheduler=SCHEDULER, seed=seed)
    return invert(model, stage.encode_text(""), latent, order)[0]["samples"]


def _sample(stage: Stage, model: Any, caption: str, start: Any, seed: int) -> np.ndarray:
    import comfy.sample

    options = stage.options
    fresh = start is None
    latent = torch.zeros(options.frames, 4, 16, 16) if fresh else start
    noise = comfy.sample.prepare_noise(latent, seed) if fresh else torch.zeros_like(latent)
    out = comfy.sample.sample(
        model, noise, options.sampling_steps, options.cfg, SAMPLER, SCHEDULER, stage.encode_text(caption),
        stage.encode_text(""), latent, disable_noise=not fresh, disable_pbar=True, seed=seed,
    )  # fmt: skip
    return stage.vae.decode(out).float().cpu().numpy()


def figures(scene: Any, source: np.ndarray, videos: list[np.ndarray]) -> dict[str, float]:
    """Means over the edits: path as the source's, what is drawn, and the net-free scores."""
    from pack.methods.video_scores import score
    from pack.toy import judge

    edits = edits_of(scene)
    truth = path_of(source)
    rows = []
    for video, edit in zip(videos, edits, strict=True):
        scores = score(torch.from_numpy(video))
        names = ("frame_consistency", "flicker", "dynamic_degree")
        row = {"path_correlation": correlation(path_of(video), truth), **{name: scores[name] for name in names}}
        if edit.look == "plain":
            verdicts = [judge.judge_picture(frame, edit) for frame in video]
            right = [min(one.colour, one.shape, one.background) for one in verdicts]
            row |= {"right_frames": float(np.mean(right)), "one_object": float(same_object(video))}
        else:
            row["look"] = float(np.mean([judge.name_look(frame) == edit.look for frame in video]))
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in {k for r in rows for k in r}}


def path_of(video: np.ndarray) -> np.ndarray:
    """Centre ``[T, 2]`` of what stands out of the background."""
    from pack.toy import judge

    clip = np.clip(video, 0, 1)
    distance = np.linalg.norm(clip - judge.find_background(clip), axis=-1)
    return judge.find_track(distance > judge.OBJECT_DISTANCE)[0]


def correlation(path: np.ndarray, other: np.ndarray) -> float:
    """Of two paths ``[T, 2]`` about their means, in [-1, 1]; 0 for one that stands still."""
    a, b = path - path.mean(0), other - other.mean(0)
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / length) if length > 1e-6 else 0.0


def same_object(video: np.ndarray) -> bool:
    """Whether each third of a clip shows the same shape in the same colour."""
    from pack.toy import judge, world

    found = set()
    for part in np.array_split(np.clip(video, 0, 1), 3):
        distance = np.linalg.norm(part - judge.find_background(part), axis=-1)
        mask = distance > judge.OBJECT_DISTANCE
        centre, _, there = judge.find_track(mask)
        ink = judge.find_ink(part, distance, mask)
        colour = min(world.COLOURS, key=lambda name: float(np.linalg.norm(ink - np.array(world.COLOURS[name]) / 255)))
        found.add((judge.name_shape(mask, centre, there), colour))
    return len(found) == 1
