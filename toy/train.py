"""Train the toy model, stage after stage: ``python toy/train.py vae``, then ``latents``, then ``base``.

Every stage can be stopped at any moment and goes on when it is called again. Needs the host's network
classes: set COMFYUI_PATH to what ``python scripts/host.py`` prints and use the Python it prints. The files
``vae.safetensors`` and ``base.safetensors`` of the run folder are then copied to ``toy/weights/``.

Batches, noise and levels are functions of (seed, step). The learning rate follows the clock, so that a run
ends when it was told to; a faster machine takes more steps and ends with other weights.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = {"vae": 2400.0, "latents": 0.0, "base": 6000.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=list(SECONDS))
    parser.add_argument("--out", type=Path, default=ROOT / "toy" / "runs", help="folder of the run")
    parser.add_argument("--seconds", type=float, help="training time of the stage, all sittings together")
    parser.add_argument("--clips", type=int, default=2688, help="clips to encode")
    parser.add_argument("--part", type=int, default=0, help="which part of the shards to encode, from 0")
    parser.add_argument("--parts", type=int, default=1, help="processes that share the encoding")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    run(options)


def run(options: argparse.Namespace) -> None:
    """Run one stage."""
    import torch

    from toy.pretrain.host import use_host

    use_host()
    torch.set_num_threads(options.threads)
    seconds = options.seconds or SECONDS[options.stage]
    if options.stage == "vae":
        from toy.pretrain.vae_training import train_vae

        train_vae(options.out, seconds, options.seed)
    elif options.stage == "latents":
        from toy.pretrain.latents import encode_shards

        encode_shards(options.out, options.clips, options.seed, options.part, options.parts)
    else:
        from toy.pretrain.base_training import train_base

        train_base(options.out, seconds, options.seed)


if __name__ == "__main__":
    main()
