"""Train and sample the toy model on ComfyUIs that keep results and memory in other ways: the same bytes on each.

    python scripts/stress/host_options.py [--host 0.30.0]

Each ComfyUI trains a LoRA, is asked for the same once more (the finished run is found), and samples with it. Where
nothing is kept between nodes, where little is, and where memory is called scarce, LoRA and latent have to be those of
the host as it starts by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from host import find_or_build
from host_setup.server import Server
from soak import graph, saved_latent

OPTIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("--cache-none",),
    ("--cache-lru", "1"),
    ("--cache-classic",),
    ("--cache-ram", "1000"),  # more than there is: everything is let go of at once
)


def main() -> None:
    """Print a line for each set of options.

    Raises:
        SystemExit: a LoRA or a latent differs from those without options.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=None)
    host, expected, different = find_or_build(parser.parse_args().host), "", 0
    for options in OPTIONS:
        with Server(host, arguments=options) as server:
            found = made_by(server)
        expected = expected or found
        different += found != expected
        print(
            f"{' '.join(options) or 'as it starts':16} {found} {'same' if found == expected else 'OTHER'}", flush=True
        )
    print(f"{len(OPTIONS)} sets of options, {different} with other bytes")
    raise SystemExit(int(different > 0))


def made_by(server: Server) -> str:
    """Digest of the LoRA's weights and of a latent sampled with it; a second training returns the first one's."""
    prompts = [server.wait(server.queue(prompt()), poll=0.1)["outputs"] for _ in range(2)]
    loras = sorted((server.output / "loras").rglob("*.safetensors"))
    if len(loras) != 1:
        raise SystemExit(f"the same training made {len(loras)} LoRAs: {', '.join(path.name for path in loras)}")
    first, second = (saved_latent(server, outputs["9"]) for outputs in prompts)
    if first != second:
        raise SystemExit("the same LoRA sampled another latent the second time")
    return hashlib.sha256(weights_of(loras[0]) + first).hexdigest()[:16]


def weights_of(path: Path) -> bytes:
    """The tensors of a file by their names, without the metadata, which holds times."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return json.dumps(header, sort_keys=True).encode() + data[8 + size :]


def prompt() -> dict[str, Any]:
    """Four steps of TIC-FT, and two of sampling with what was learned."""
    train = {
        "model": ["1", 0], "encoded": ["3", 0], "task": "image to video", "rank": 2, "learning_rate": 1e-2, "steps": 4,
        "batch_size": 1, "seed": 1, "run_name": "options",
    }  # fmt: skip
    sample = {
        "model": ["5", 0], "positive": ["6", 0], "negative": ["6", 0], "latent_image": ["7", 0], "seed": 1, "steps": 2,
        "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0,
    }  # fmt: skip
    return graph({
        "1": ("FewShotToyVideoModel", {}),
        "2": ("FewShotToyClips", {"kind": "image to video", "count": 2, "seed": 3}),
        "3": ("FewShotEncodeDataset", {"dataset": ["2", 0], "vae": ["1", 2], "clip": ["1", 1], "cache": True}),
        "4": ("TICFTTrain", train),
        "5": ("LoraModelLoader", {"model": ["1", 0], "lora": ["4", 0], "strength_model": 1.0, "bypass": False}),
        "6": ("CLIPTextEncode", {"clip": ["1", 1], "text": "a red disc moves right"}),
        "7": ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 5, "batch_size": 1}),
        "9": ("SaveLatent", {"samples": ["10", 0], "filename_prefix": "options"}),
        "10": ("KSampler", sample),
    })  # fmt: skip


if __name__ == "__main__":
    main()
