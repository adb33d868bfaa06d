"""What the toy model can do: the judge's figures on held-out prompts, beside its ceiling and chance level.

    COMFYUI_PATH=... python scripts/bench/toy_base.py [--prompts 128] [--weights FILE] [--out out/toy_base]

Every held-out combination of shape, colour and motion is asked for (in another order each round until
there are enough prompts), on a background drawn by the seed, through the host's own sampler and VAE. Then held-out
stills are gone on with, zero-shot, with captions that tell the motion alone: what every few-shot task builds on.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.prompt_figures import (
    by_word,
    ink_of,
    prompt_parser,
    psnr_of,
    publish_figures,
    sample_batch,
    table,
    texts_of,
)
from parts.zero_shot import zero_shot

FIELDS = ("colour", "shape", "background", "motion", "all_right", "every_frame", "path_error")
GOAL = {"all_right": 0.95, "every_frame": 1.0}
SAME, SECONDS = 0.97, 15.0  # goals of one object all along, and of one clip with decoding on two cores


def main() -> None:
    parser = prompt_parser(__doc__, prompts=128, cfg=2.0, batch=8, out="toy_base")
    parser.add_argument("--frames", type=int, default=49, help="pixel frames, 4n + 1")
    parser.add_argument("--stills", type=int, default=24, help="held-out stills to go on with; 0 for none")
    parser.add_argument("--weights", type=Path, help="another network's file instead of the shipped one")
    options = parser.parse_args()
    host_pack.start(options.threads)
    report(options)


def report(options: argparse.Namespace) -> None:
    """Sample, judge, print and write the figures and a contact sheet."""
    from pack.toy import judge, weights

    options.out.mkdir(parents=True, exist_ok=True)
    weights.BASE = options.weights or weights.BASE
    scenes = held_out_scenes(options.prompts, options.seed)
    started = time.perf_counter()
    videos, single = sample(scenes, options)
    verdicts = [judge.judge(video, scene) for video, scene in zip(videos, scenes, strict=True)]
    vae_verdicts, psnr = through_vae(scenes[:32], options.frames)
    rows = {
        "toy model": judge.summary(verdicts),
        "through the VAE": judge.summary(vae_verdicts),
        "ground truth": judge.ceiling(scenes, options.frames),
        "chance": judge.chance(scenes, options.frames, options.seed),
    }
    text = (
        table(rows, FIELDS, GOAL)
        + "\n"
        + by_word(("shape", "motion"), scenes, verdicts)
        + identity(scenes, videos, options)
    )
    if options.stills:
        text += zero_shot(options)
    text += (
        f"\n{len(scenes)} held-out prompts, {options.frames} frames, euler, {options.steps} steps, "
        f"CFG {options.cfg:g}, "
        f"seed {options.seed}; all in {time.perf_counter() - started:.0f} s, "
        f"one clip with decoding {single:.1f} s (goal {SECONDS:g} on two cores), {options.threads} thread(s), "
        f"{platform.machine()}; VAE {psnr:.1f} dB\n"
    )
    publish_figures(text, rows, options.out)
    write_sheet(scenes, videos, verdicts, options.out / "sheet.png")


def held_out_scenes(count: int, seed: int) -> list[Any]:
    """Scenes of the held-out combinations, every one before any comes again."""
    import numpy as np

    from pack.toy import world

    rng = np.random.default_rng((seed, 4))
    scenes: list[Any] = []
    for shape, colour, motion in itertools.cycle(world.combinations(held_out=True)):
        if len(scenes) == count:
            return scenes
        scenes.append(world.Scene(shape, colour, list(world.BACKGROUNDS)[rng.integers(3)], motion))
    return scenes


def sample(scenes: list[Any], options: argparse.Namespace, texts: list[str] | None = None) -> tuple[list[Any], float]:
    """A clip ``[T, H, W, 3]`` of every caption (the scenes' own), and the seconds one clip takes on its own."""
    texts = texts or [scene.caption() for scene in scenes]
    import torch

    from pack.nodes.host.model import toy

    with torch.inference_mode():
        model, clip, vae = toy.load_model(), toy.load_clip(), toy.load_vae()
        videos: list[Any] = []
        for start in range(0, len(texts), options.batch):
            videos += _sample_batch(model, clip, vae, texts[start : start + options.batch], options, start)
        begun = time.perf_counter()
        _sample_batch(model, clip, vae, texts[:1], options, 0)
    return videos, time.perf_counter() - begun


def _sample_batch(
    model: Any, clip: Any, vae: Any, captions: list[str], options: argparse.Namespace, start: int
) -> list[Any]:
    import torch

    latent = torch.zeros(len(captions), 16, (options.frames + 3) // 4, 8, 8)
    seed = options.seed * 100_003 + start
    out = sample_batch(model, texts_of(clip, captions), latent, "simple", seed, options)
    return [vae.decode(out[i : i + 1])[0].float().cpu().numpy() for i in range(len(captions))]


def identity(scenes: list[Any], videos: list[Any], options: argparse.Namespace) -> str:
    """Clips that stay with one object, where the caption tells of it and where it leaves the object open."""
    open_scenes = scenes[: len(scenes) // 2]
    texts = [f"a thing {scene.motion} on a {scene.background} background" for scene in open_scenes]
    open_videos, _ = sample(open_scenes, options, texts)
    lines = [_identity_line("told of the object", videos), _identity_line("object left open", open_videos)]
    write_sheet(open_scenes, open_videos, None, options.out / "sheet_open.png")
    return "\n".join(lines) + "\n"


def _identity_line(name: str, videos: list[Any]) -> str:
    from pack.toy.identity import keeps_identity

    kept = [keeps_identity(video) for video in videos]
    colour, shape, both = (sum(kind) / len(kept) for kind in (*zip(*kept, strict=True), [all(k) for k in kept]))
    found = f"colour {colour:.2f}, shape {shape:.2f}, both {both:.2f} (goal {SAME})"
    return f"one object all along, {name}: {found} of {len(kept)}"


def through_vae(scenes: list[Any], frames: int) -> tuple[list[Any], float]:
    """Verdicts on ground truth that went through the VAE, and its mean PSNR in dB."""
    import torch

    from pack.nodes.host.model import toy
    from pack.toy import judge, world

    with torch.inference_mode():
        vae = toy.load_vae()
        truth = [world.render(scene, frames) for scene in scenes]
        clips = [vae.decode(vae.encode(torch.from_numpy(clip)))[0].float().numpy() for clip in truth]
    verdicts = [judge.judge(clip, scene) for clip, scene in zip(clips, scenes, strict=True)]
    return verdicts, psnr_of(clips, truth)


def write_sheet(scenes: list[Any], videos: list[Any], verdicts: list[Any] | None, path: Path) -> None:
    """Sixteen clips, eight frames each with what they were to show above, green where all is right, else red."""
    import numpy as np
    from PIL import Image, ImageDraw

    rows = []
    for i, (scene, video) in enumerate(list(zip(scenes, videos, strict=True))[:16]):
        frames = np.concatenate(list(video[np.linspace(0, len(video) - 1, 8).astype(int)]), axis=1)
        strip = Image.fromarray((frames * 255).clip(0, 255).astype("uint8"))
        row = Image.new("RGB", (strip.width, strip.height + 14), "white")
        row.paste(strip, (0, 14))
        ink = ink_of(verdicts and verdicts[i])
        ImageDraw.Draw(row).text((2, 1), scene.motion if verdicts is None else scene.caption(), fill=ink)
        rows.append(np.asarray(row))
    half = len(rows) // 2 or 1
    columns = [np.concatenate(part) for part in (rows[:half], rows[half : 2 * half] or rows[:half])]
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


if __name__ == "__main__":
    main()
