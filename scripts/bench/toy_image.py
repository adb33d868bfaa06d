"""What the toy image model can do: the judge's figures on held-out prompts, beside its ceiling and chance level.

    COMFYUI_PATH=... python scripts/bench/toy_image.py [--prompts 120] [--out out/toy_image]

Every held-out combination of shape, colour and background is asked for (in the same order each round until there are
enough prompts), then blueprints of every shape, through the host's own sampler and VAE.
"""

from __future__ import annotations

import argparse
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

FIELDS = ("found", "colour", "shape", "background", "all_right")
BLUEPRINTS = 8  # of every shape


def main() -> None:
    options = prompt_parser(__doc__, prompts=120, cfg=3.0, batch=24, out="toy_image").parse_args()
    host_pack.start(options.threads)
    report(options)


def report(options: argparse.Namespace) -> None:
    """Sample, judge, print and write the figures and a contact sheet."""
    from pack.toy import judge, pictures, world

    options.out.mkdir(parents=True, exist_ok=True)
    scenes = pictures.held_out_pictures(options.prompts, options.seed)
    blueprints = [scene for shape in world.SHAPES for scene in _blueprints(shape)]
    started = time.perf_counter()
    frames, single = sample([pictures.caption_of(scene) for scene in scenes + blueprints], options)
    verdicts = [judge.judge_picture(frame, scene) for frame, scene in zip(frames, scenes, strict=False)]
    drawn = frames[len(scenes) :]
    through, psnr = through_vae(scenes)
    rows = {
        "toy image model": summary(verdicts),
        "through the VAE": summary(through),
        "ground truth": summary([judge.judge_picture(world.render(scene, 1)[0], scene) for scene in scenes]),
        "chance": chance(scenes, options.seed),
    }
    text = (
        table(rows, FIELDS, {})
        + "\n"
        + by_word(("shape", "colour", "background"), scenes, verdicts)
        + blueprint_line(blueprints, drawn)
    )
    text += (
        f"\n{len(scenes)} held-out prompts, euler, {options.steps} steps, CFG {options.cfg:g}, seed {options.seed}; "
        f"all in {time.perf_counter() - started:.0f} s, one picture with decoding {single:.2f} s, "
        f"{options.threads} thread(s), {platform.machine()}; VAE {psnr:.1f} dB\n"
    )
    publish_figures(text, rows, options.out)
    write_sheet(scenes[:36], frames, verdicts, options.out / "sheet.png")
    write_sheet(blueprints, drawn, None, options.out / "sheet_blueprints.png")


def _blueprints(shape: str) -> list[Any]:
    from pack.toy import world

    return [world.Scene(shape, "red", "black", "stays still", look="blueprint")] * BLUEPRINTS


def sample(texts: list[str], options: argparse.Namespace) -> tuple[list[Any], float]:
    """A picture ``[H, W, 3]`` of every caption, and the seconds one takes on its own."""
    import torch

    from pack.nodes.host.model import toy_image

    with torch.inference_mode():
        parts = toy_image.load_image_model(), toy_image.load_image_clip(), toy_image.load_image_vae()
        frames: list[Any] = []
        for start in range(0, len(texts), options.batch):
            frames += _sample_batch(*parts, texts[start : start + options.batch], options, start)
        begun = time.perf_counter()
        _sample_batch(*parts, texts[:1], options, 0)
    return frames, time.perf_counter() - begun


def _sample_batch(
    model: Any, clip: Any, vae: Any, captions: list[str], options: argparse.Namespace, start: int
) -> list[Any]:
    import torch

    latent = torch.zeros(len(captions), 4, 16, 16)
    seed = options.seed * 100_003 + start
    out = sample_batch(model, texts_of(clip, captions), latent, "normal", seed, options)
    return list(vae.decode(out).float().cpu().numpy())


def through_vae(scenes: list[Any]) -> tuple[list[Any], float]:
    """Verdicts on ground truth that went through the VAE, and its mean PSNR in dB."""
    import numpy as np
    import torch

    from pack.nodes.host.model import toy_image
    from pack.toy import judge, world

    truth = np.concatenate([world.render(scene, 1) for scene in scenes])
    with torch.inference_mode():
        vae = toy_image.load_image_vae()
        frames = vae.decode(vae.encode(torch.from_numpy(truth))).float().cpu().numpy()
    verdicts = [judge.judge_picture(frame, scene) for frame, scene in zip(frames, scenes, strict=True)]
    return verdicts, psnr_of(frames, truth)


def summary(verdicts: list[Any]) -> dict[str, float]:
    """Mean of every field over pictures."""
    return {name: sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts) for name in FIELDS}


def chance(scenes: list[Any], seed: int) -> dict[str, float]:
    """What the true pictures score against the scenes in another order."""
    import numpy as np

    from pack.toy import judge, world

    order = np.random.default_rng(seed).permutation(len(scenes))
    shuffled = zip(order, scenes, strict=True)
    return summary([judge.judge_picture(world.render(scenes[i], 1)[0], scene) for i, scene in shuffled])


def blueprint_line(scenes: list[Any], frames: list[Any]) -> str:
    """How many of the pictures that were asked for as blueprints are drawn as one."""
    from pack.toy import judge

    right = [judge.name_look(frame) == scene.look for frame, scene in zip(frames, scenes, strict=True)]
    return f"blueprints: {sum(right) / len(right):.2f} of {len(right)} in that look\n"


def write_sheet(scenes: list[Any], frames: list[Any], verdicts: list[Any] | None, path: Path) -> None:
    """Up to 36 pictures with their captions above, green where all is right, else red."""
    from PIL import Image, ImageDraw

    from pack.toy import pictures

    columns, wide = 6, 200
    sheet = Image.new("RGB", (columns * wide, -(-len(scenes) // columns) * 146), "white")
    for i, (scene, frame) in enumerate(zip(scenes, frames, strict=False)):
        x, y = i % columns * wide, i // columns * 146
        picture = Image.fromarray((frame * 255).clip(0, 255).astype("uint8")).resize(
            (128, 128), Image.Resampling.NEAREST
        )
        sheet.paste(picture, (x, y + 14))
        ink = ink_of(verdicts and verdicts[i])
        ImageDraw.Draw(sheet).text((x + 2, y + 1), pictures.caption_of(scene), fill=ink)
    sheet.save(path)


if __name__ == "__main__":
    main()
