"""Train the toy models, stage after stage: ``python toy/train.py vae``, then ``latents``, ``coarse`` and ``base``.

``rich_vae``, ``rich_latents`` and ``rich_base`` go on from there to marked and lit objects in front of backdrops.
The image model has two stages of its own: ``image_vae``, then ``image_base``.
Every stage can be stopped at any moment and goes on when it is called again. Needs the host's network
classes: set COMFYUI_PATH to what ``python scripts/host.py`` prints and use the Python it prints. The files
``vae.safetensors`` and ``base.safetensors`` of the run folder (of the image model ``image_vae.safetensors`` and
``image_base.safetensors``) are then copied to ``toy/weights/``. ``action`` trains AICL's adapter on a shipped video
model and gives ``action.safetensors``, with ``--detail fine`` ``fine_action.safetensors``.

Batches, noise and levels are functions of (seed, step). The learning rate follows the clock, so that a run
ends when it was told to; a faster machine takes more steps and ends with other weights.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = {"vae": 2400.0, "latents": 0.0, "coarse": 6000.0, "base": 5400.0, "image_vae": 720.0, "image_base": 2400.0}
SECONDS |= {"action": 2400.0, "rich_vae": 3600.0, "rich_latents": 0.0, "rich_base": 14400.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=list(SECONDS))
    parser.add_argument("--out", type=Path, default=cache() / "pretrain", help="folder of the run, outside the tree")
    parser.add_argument("--seconds", type=float, help="training time of the stage, all sittings together")
    parser.add_argument("--clips", type=int, default=2688, help="clips to encode")
    parser.add_argument("--part", type=int, default=0, help="which part of the shards to encode, from 0")
    parser.add_argument("--parts", type=int, default=1, help="processes that share the encoding")
    parser.add_argument("--levels", choices=["one", "per frame"], default="per frame", help="of a clip, for `base`")
    parser.add_argument("--detail", choices=["coarse", "fine"], default="coarse", help="of the base of `action`")
    parser.add_argument(
        "--from-shipped", action="store_true", help="`action`: start from the shipped adapter of the coarse base"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    run(options)


def cache() -> Path:
    """Where what is made on this machine is kept between runs; FEWSHOT_CACHE names another place."""
    return Path(os.environ.get("FEWSHOT_CACHE") or Path.home() / ".cache" / "fewshot-video").expanduser()


def run(options: argparse.Namespace) -> None:
    """Run one stage."""
    import torch

    from toy.pretrain.host import use_host

    use_host()
    torch.set_num_threads(options.threads)
    seconds = options.seconds or SECONDS[options.stage]
    if options.stage in ("latents", "rich_latents"):
        from toy.pretrain.latents import PLAIN, RICH, encode_shards

        world = PLAIN if options.stage == "latents" else RICH
        encode_shards(options.out, options.clips, options.seed, options.part, options.parts, world)
    else:
        trainer(options)(options.out, seconds, options.seed)


def trainer(options: argparse.Namespace) -> Callable[[Path, float, int], None]:
    """What trains a stage; takes the run's folder, its seconds and its seed."""
    stage = options.stage
    if stage == "vae":
        from toy.pretrain.vae_training import train_vae as train
    elif stage == "image_vae":
        from toy.pretrain.image_vae_training import train_image_vae as train
    elif stage == "image_base":
        from toy.pretrain.image_base_training import train_image_base as train
    elif stage == "action":
        load_pack()
        from pack.toy.pretrain.action_training import train_action  # pyright: ignore[reportMissingImports]

        return partial(train_action, clips=options.clips, shipped=options.from_shipped, detail=options.detail)
    elif stage == "coarse":
        from toy.pretrain.base_training import train_coarse as train
    elif stage == "rich_vae":
        from toy.pretrain.rich_vae_training import train_rich_vae as train
    else:
        from toy.pretrain.base_training import train_base, train_rich_base

        return partial(train_base if stage == "base" else train_rich_base, levels=options.levels)
    return train


def load_pack() -> None:
    """Load the checkout as a package, as the host does: this stage trains what lies beside ``toy/``."""
    spec = spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{ROOT} is no checkout of the pack; run this script where it lies")
    sys.modules["pack"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pack"])


if __name__ == "__main__":
    main()
