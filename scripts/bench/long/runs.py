"""One long toy video: its LoRA, its source, the way it is made, and its figures; in a process with the host."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from long_video import SETTINGS, record_path

WINDOW, SIZE, LATENTS = 24, 64, 13  # frames that are judged at once; pixels; latents of a window of the host's
CAPTION = "a blueprint of the same"


def run(arm: str, seconds: int, options: argparse.Namespace) -> None:
    """Make one video and write its figures."""
    import folder_paths

    from pack.toy.world import FPS

    folder_paths.set_output_directory(str((options.out / "output").resolve()))
    lora, scene, frames = trained(options.out), scene_of(), round(seconds * FPS)
    source = write_source(options.out, scene, frames)
    with torch.inference_mode():
        started = time.perf_counter()
        path, seams = (context_windows if arm == "context windows" else long_video)(
            source, lora, frames, options, overlap=0 if arm == "naive" else 2
        )
        taken = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB; before the video is judged
    figures, curve = judged(pieces(path), scene, frames, seams)
    truth, _ = judged(drawn(replace(scene, look="blueprint"), frames), scene, frames, seams)
    record = {
        "arm": arm, "seconds": seconds, "settings": {name: getattr(options, name) for name in SETTINGS},
        "figures": {**figures, "s a frame": taken / frames, "peak, MB": peak}, "truth": truth, "path by second": curve,
    }  # fmt: skip
    record_path(options.out, arm, seconds).write_text(json.dumps(record, indent=1), encoding="utf-8")


def scene_of() -> Any:
    """A circling object of the held-out style transfer clips, in the look it has in the source."""
    from pack.toy import clips

    samples = clips.make_samples("style transfer", 60, 5, "held out")
    return replace(next(s.scene for s in samples if s.scene.motion.startswith("circles")), look="plain")


def write_source(folder: Path, scene: Any, frames: int) -> Path:
    """The source as a file, written in pieces so that it is never in memory whole."""
    from pack.toy.world import FPS
    from pack.training.storage.joined_video import join_videos
    from pack.training.storage.video_file import write_video

    path, parts = folder / f"source {frames}.mp4", []
    if not path.exists():
        for number, piece in enumerate(drawn(scene, frames)):
            parts.append(write_video(torch.from_numpy(piece), folder / "parts" / f"{number:05}.mp4", FPS))
        join_videos(parts, path)
        for part in parts:
            part.unlink()
    return path


def drawn(scene: Any, frames: int) -> Iterator[np.ndarray]:
    """Frames of a scene, some at a time; a circle takes two windows, so that they come again and again."""
    from pack.toy.world import render

    lap = render(scene, 2 * WINDOW)
    for start in range(0, frames, WINDOW):
        at = start % len(lap)
        yield lap[at : at + min(WINDOW, frames - start)]


def pieces(path: str) -> Iterator[np.ndarray]:
    """Frames of a file, some at a time."""
    from pack.training.data.footage import open_reel

    kept: list[np.ndarray] = []
    for picture in open_reel(Path(path)).pictures:
        kept.append(picture)
        if len(kept) == WINDOW:
            yield np.stack(kept).astype(np.float32) / 255.0
            kept = []
    if kept:
        yield np.stack(kept).astype(np.float32) / 255.0


def judged(parts: Iterator[np.ndarray], scene: Any, frames: int, seams: list[int]) -> tuple[dict[str, float], list]:
    """Figures of a video that comes in pieces, and its path error by second."""
    from pack.toy import judge
    from pack.toy.world import BLUEPRINT_PAPER, FPS

    told, truth = replace(scene, look="blueprint"), drawn(replace(scene, look="blueprint"), frames)
    changes, rows, start, before = [], [], 0, None
    for part in parts:
        whole = part if before is None else np.concatenate([before, part])
        changes += np.abs(np.diff(whole, axis=0)).mean((1, 2, 3)).tolist()
        right, before = next(truth), part[-1:]
        look = np.mean([judge.name_look(frame) == "blueprint" for frame in part[::4]])
        colour = np.linalg.norm(judge.find_background(part) - np.array(BLUEPRINT_PAPER) / 255.0)
        path = judge.judge(part, told, start % (2 * WINDOW)).path_error
        rows.append((look, colour, path, float(np.abs(part - right[: len(part)]).mean())))
        start += len(part)
    look, colour, path, off = np.array(rows).T
    last = slice(-max(1, len(rows) // 4), None)
    at, latents = np.zeros(len(changes), bool), np.arange(len(changes)) % 4 == 3
    at[[seam - 1 for seam in seams if seam < start]] = True
    change = np.array(changes)
    figures = {
        "frames": start, "seam error": change[at].mean() / change[~at].mean(),
        "of latent borders": change[at].mean() / change[~at & latents].mean(), "look": look.mean(),
        "colour off": colour.mean(), "path error, px": path.mean(), "path, last quarter": path[last].mean(),
        "off the truth": off.mean(), "off, last quarter": off[last].mean(),
    }  # fmt: skip
    return {name: float(value) for name, value in figures.items()}, [
        (i * WINDOW / FPS, float(p)) for i, p in enumerate(path)
    ]


def long_video(
    source: Path, lora: Any, frames: int, options: argparse.Namespace, overlap: int
) -> tuple[str, list[int]]:
    """By TIC-FT Long Video; its file and where windows begin."""
    from comfy_api.latest import InputImpl
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    from pack.nodes.tic_ft_long import TICFTLongVideo

    model, vae, positive, negative = loaded(lora)
    made = TICFTLongVideo.execute(
        model, vae, positive, negative, KSamplerSelect.execute("euler").args[0],
        BasicScheduler.execute(model, "simple", options.steps, 1.0).args[0], InputImpl.VideoFromFile(str(source)),
        "video to video", SIZE, SIZE, options.cfg, options.seed, f"overlap {overlap} {frames}", overlap_latents=overlap,
    ).args  # fmt: skip
    stride = WINDOW - 4 * overlap
    return made[0].get_stream_source(), list(range(WINDOW, frames, stride))


def context_windows(
    source: Path, lora: Any, frames: int, options: argparse.Namespace, overlap: int
) -> tuple[str, list[int]]:
    """By one TIC-FT Context of the whole length and the host's node; borders are where its windows begin."""
    from comfy_api.latest import InputImpl
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    import nodes as host_nodes
    from pack.nodes.tic_ft import TICFTContext, TICFTCrop
    from pack.toy.world import FPS
    from pack.training.storage.video_file import write_video

    model, vae, positive, negative = loaded(lora)
    clip = InputImpl.VideoFromFile(str(source))
    model, latent, _ = TICFTContext.execute(model, vae, "video to video", SIZE, SIZE, frames, condition=clip).args
    model = ContextWindowsManualNode.execute(
        model, LATENTS, overlap, "standard_static", 1, False, "pyramid", 2, False
    ).args[0]
    (out,) = host_nodes.common_ksampler(
        model, options.seed, options.steps, options.cfg, "euler", "simple", positive, negative, latent
    )
    images = vae.decode(out["samples"])[0]
    target = TICFTCrop.execute(images, out, "target").args[0]
    path = options.out / "output" / f"context windows {frames}.mp4"
    write_video(target, path, FPS)
    stride = WINDOW - 4 * overlap
    return str(path), list(range(stride, frames - 4 * overlap, stride))


def loaded(lora: Any) -> tuple[Any, Any, Any, Any]:
    """The toy MODEL with the LoRA, the VAE, and both prompts."""
    import comfy.sd

    from pack.methods.tic_ft_tasks import caption
    from pack.nodes.host.model import toy

    model, clip, vae = toy.load_model(), toy.load_clip(), toy.load_vae()
    model, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    texts = (caption("video to video", "", CAPTION), "")
    return model, vae, *(clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts)


def trained(folder: Path) -> Any:
    """The toy workflow's LoRA, trained unless it is there."""
    from safetensors.torch import load_file, save_file

    from pack.methods.tic_ft import Layout
    from pack.nodes.host.model import toy
    from pack.nodes.host.model.known_model import model_space
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.toy import clips
    from pack.training.core.config import TrainConfig
    from pack.training.core.loop import train
    from pack.training.tic_ft.objective import TicftObjective, TicftRecipe

    path = folder / "lora.safetensors"
    if path.exists():
        return load_file(path)
    config = TrainConfig(rank=16, learning_rate=1e-3, steps=100, batch_size=8, seed=0, shift=5.0)
    recipe = TicftRecipe("video to video", Layout.linear(4, 3, 6), False)
    samples = list(toy.dataset_of(clips.make_samples("style transfer", 12, 0), "style transfer").samples)
    with torch.inference_mode():
        model, clip, vae = toy.load_model(), toy.load_clip(), toy.load_vae()
        texts = [*(recipe.captions(sample)["caption"] for sample in samples), ""]
        tokens = [clip.encode_from_tokens_scheduled(clip.tokenize(text))[0][0][0] for text in texts]
        encoded = [{name: vae.encode(part)[0] for name, part in recipe.clips(s).items()} for s in samples]
    x0 = [model_space(model, recipe.assemble(parts)["x0"].clone()) for parts in encoded]
    *captions, empty = [{"cross_attn": found.clone()} for found in tokens]
    with training_session(video_model(model), config) as session:
        objective = TicftObjective(x0, captions, empty, recipe, config)
        train(objective, session.predict, session.trained.parameters(), config)
        tensors = {name: tensor.clone() for name, tensor in session.trained.tensors().items()}
    save_file(tensors, path)
    return tensors
