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
CAPTION, PAPER = "the same on a white background", "white"  # what the LoRA makes of a clip on another one
PAIRS, STEPS, BATCH = 24, 120, 4  # of its training
CLEAN, BUFFERS, TARGET = 4, 3, 6  # latents
JUDGED = ("colour", "shape", "background", "object found", "path error, px", "off the truth")


def run(arm: str, seconds: int, options: argparse.Namespace) -> None:
    """Make one video and write its figures."""
    import folder_paths

    from pack.toy.world import FPS

    folder_paths.set_output_directory(str((options.out / "output").resolve()))
    lora, scene, frames = trained(options.out), scene_of(), round(seconds * FPS)
    source = write_source(options.out, scene, frames)
    if arm == "true latents":
        give_truth(scene, frames)
    with torch.inference_mode():
        started = time.process_time()
        path, seams = (context_windows if arm == "context windows" else long_video)(
            source, lora, frames, options, overlap=0 if arm == "naive" else 2, name=arm
        )
        taken = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB; before the video is judged
    figures, curve = judged(pieces(path), scene, frames, seams)
    truth, _ = judged(drawn(told(scene), frames), scene, frames, seams)
    figures["seam, of truth's"] = figures["seam error"] / truth["seam error"]
    record = {
        "arm": arm, "seconds": seconds, "settings": {name: getattr(options, name) for name in SETTINGS},
        "figures": {**figures, "CPU s a frame": taken / frames, "peak, MB": peak}, "truth": truth, "by window": curve,
    }  # fmt: skip
    record_path(options.out, arm, seconds).write_text(json.dumps(record, indent=1), encoding="utf-8")


def scene_of() -> Any:
    """A circling object of the held-out clips, on the background it has in the source."""
    scenes = (sample.scene for sample in _clips(60, 5, "held out"))
    return next(scene for scene in scenes if scene.motion.startswith("circles"))


def _clips(count: int, seed: int, split: str = "training") -> list[Any]:
    """Pairs of a clip on black or grey and the same on white: all of the object can be judged in both."""
    from pack.toy import clips

    scenes = [sample.scene for sample in clips.make_samples("style transfer", count, seed, split, clips.SIZES["large"])]
    scenes = [replace(scene, look="plain", background=("black", "grey")[i % 2]) for i, scene in enumerate(scenes)]
    shown = tuple(range(WINDOW + 1))
    return [
        clips.ToySample(
            clips.SceneClip(told(scene), shown[:WINDOW]), CAPTION, scene,
            conditions=(clips.SceneClip(scene, shown),), name=f"on white {i}",
        )
        for i, scene in enumerate(scenes)
    ]  # fmt: skip


def told(scene: Any) -> Any:
    """What is to be made of a scene."""
    return replace(scene, background=PAPER)


def write_source(folder: Path, scene: Any, frames: int) -> Path:
    """The source as a file, written in pieces so that it is never in memory whole."""
    from pack.toy.world import FPS
    from pack.training.storage.joined_video import join_videos
    from pack.training.storage.video_file import write_video

    path, parts = folder / f"source {frames}.mp4", []
    if not path.exists():
        for number, piece in enumerate(drawn(scene, frames)):
            parts.append(write_video(torch.from_numpy(piece), folder / f"parts {frames}" / f"{number:05}.mp4", FPS))
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


def give_truth(scene: Any, frames: int) -> None:
    """Let windows have the latents of what they are to show in place of sampled ones, encoded as training does."""
    from pack.nodes.host.sampling import long_video

    truth = torch.from_numpy(np.concatenate(list(drawn(told(scene), frames))))

    def sampled(self: Any, _context: Any, latent: torch.Tensor, window: Any, _on_step: Any) -> torch.Tensor:
        target = truth[window.start : window.start + WINDOW]
        target = torch.cat([target, target[-1:].expand(WINDOW - len(target), -1, -1, -1)])
        found = self.vae.encode(torch.cat([*self.planned.conditions.at(window), target]))
        places = slice(CLEAN + BUFFERS, CLEAN + BUFFERS + window.overlap)
        found[:, :, places] = latent[:, :, places]
        return found

    long_video.Windows._sampled = sampled


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
    """Figures of a video that comes in pieces, and those of each piece."""
    from pack.toy import judge
    from pack.toy.world import FPS

    wanted = told(scene)
    truth, changes, rows, start, before = drawn(wanted, frames), [], [], 0, None
    for part in parts:
        whole = part if before is None else np.concatenate([before, part])
        changes += np.abs(np.diff(whole, axis=0)).mean((1, 2, 3)).tolist()
        right, before = next(truth), part[-1:]
        seen = judge.judge(part, wanted, start % (2 * WINDOW))
        off = float(np.abs(part - right[: len(part)]).mean())
        rows.append((seen.colour, seen.shape, seen.background, seen.found, seen.path_error, off))
        start += len(part)
    values, last = np.array(rows), slice(-max(1, len(rows) // 4), None)
    at, latents, change = np.zeros(len(changes), bool), np.arange(len(changes)) % 4 == 3, np.array(changes)
    at[[seam - 1 for seam in seams if seam < start]] = True
    later = np.arange(len(changes)) >= WINDOW  # the first window begins with frames that are not settled yet
    figures = {"frames": start, "seam error": change[at].mean() / change[~at].mean(),
               "after the first window": change[at].mean() / change[~at & later].mean(),
               "of latent borders": change[at].mean() / change[~at & latents].mean()}  # fmt: skip
    figures |= dict(zip(JUDGED, values.mean(0), strict=True))
    figures |= {f"{name}, last quarter": values[last, JUDGED.index(name)].mean() for name in JUDGED[-2:]}
    return {name: float(value) for name, value in figures.items()}, [
        [i * WINDOW / FPS, *map(float, row)] for i, row in enumerate(rows)
    ]


def long_video(
    source: Path, lora: Any, frames: int, options: argparse.Namespace, overlap: int, name: str
) -> tuple[str, list[int]]:
    """By TIC-FT Long Video; its file and where windows begin."""
    from comfy_api.latest import InputImpl
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    from pack.nodes.tic_ft_long import TICFTLongVideo

    model, vae, positive, negative = loaded(lora)
    made = TICFTLongVideo.execute(
        model, vae, positive, negative, KSamplerSelect.execute("euler").args[0],
        BasicScheduler.execute(model, "simple", options.steps, 1.0).args[0], InputImpl.VideoFromFile(str(source)),
        "video to video", SIZE, SIZE, options.cfg, options.seed, f"{name} {frames}", overlap_latents=overlap,
        settings=settings(),
    ).args  # fmt: skip
    stride = WINDOW - 4 * overlap
    return made[0].get_stream_source(), list(range(WINDOW, frames, stride))


def context_windows(
    source: Path, lora: Any, frames: int, options: argparse.Namespace, overlap: int, name: str
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
    request = ("video to video", SIZE, SIZE, frames)
    model, latent, _ = TICFTContext.execute(model, vae, *request, condition=clip, settings=settings()).args
    model = ContextWindowsManualNode.execute(
        model, LATENTS, overlap, "standard_static", 1, False, "pyramid", 2, False
    ).args[0]
    (out,) = host_nodes.common_ksampler(
        model, options.seed, options.steps, options.cfg, "euler", "simple", positive, negative, latent
    )
    images = vae.decode(out["samples"])[0]
    target = TICFTCrop.execute(images, out, "target").args[0]
    path = options.out / "output" / f"{name} {frames}.mp4"
    write_video(target, path, FPS)
    stride = WINDOW - 4 * overlap
    return str(path), list(range(stride, frames - 4 * overlap, stride))


def loaded(lora: Any) -> tuple[Any, Any, Any, Any]:
    """The toy MODEL with the LoRA, the VAE, and both prompts."""
    import comfy.sd

    from pack.methods.tic_ft_tasks import caption
    from pack.nodes.host.model import toy

    model, clip, vae = toy.load_model(toy.FINE), toy.load_clip(), toy.load_vae()
    model, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    texts = (caption("video to video", "", CAPTION), "")
    return model, vae, *(clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts)


def recipe_of() -> Any:
    """What the LoRA is trained for."""
    from pack.methods.tic_ft import Layout
    from pack.training.tic_ft.recipe import TicftRecipe

    return TicftRecipe("video to video", Layout.linear(CLEAN, BUFFERS, TARGET), False)


def settings() -> dict[str, Any]:
    """What TIC-FT Load LoRA would say of it."""
    return recipe_of().settings(True, None)


def trained(folder: Path) -> Any:
    """The LoRA, trained on the fine base unless it is there."""
    from safetensors.torch import load_file, save_file

    from pack.nodes.host.model import toy
    from pack.nodes.host.model.known_model import model_space
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig
    from pack.training.core.loop import train
    from pack.training.tic_ft.objective import TicftObjective

    path = folder / "lora.safetensors"
    if path.exists():
        return load_file(path)
    config = TrainConfig(
        rank=16, learning_rate=1e-3, steps=STEPS, batch_size=BATCH, seed=0, shift=5.0, per_frame_timesteps=True
    )
    recipe, samples = recipe_of(), list(toy.dataset_of(_clips(PAIRS, 0), "on white").samples)
    with torch.inference_mode():
        model, clip, vae = toy.load_model(toy.FINE), toy.load_clip(), toy.load_vae()
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
