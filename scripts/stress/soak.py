"""Queue many short trainings and samplings on one ComfyUI and watch what it takes: memory, threads, files, disk.

    python scripts/stress/soak.py [--prompts 500] [--settle 50] [--host 0.30.0]

Half of the prompts train the toy model for two steps with a seed of their own, every second one of these with fresh
clips, and sample with the LoRA; the others sample the bare model. The same latent is sampled first and last: the base's
weights are as they were where every bit of it is. Linux, which tells of a process in /proc.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host import find_or_build
from host_setup.server import Server

CACHE_LIMIT = 0.002  # gigabytes: small, so that the limit is met in any soak
MOST_GROWTH = 1.02  # of the memory, after the first prompts
MOST_TEMP = 1e6  # bytes that the host's temp folder may grow by: it is emptied at a start alone
Node = tuple[str, dict[str, Any]]


def main() -> None:
    """Print a line every 25 prompts, then whether everything stayed within its bounds.

    Raises:
        SystemExit: something grew, or a pixel differs.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--settle", type=int, default=50)
    parser.add_argument("--host", default=None)
    options = parser.parse_args()
    with Server(find_or_build(options.host)) as server:
        first, seen = latent(server, "first"), []
        for number in range(options.prompts):
            server.wait(server.queue(training(number) if number % 2 else sampling(number)), poll=0.05)
            seen.append(taken(server))
            if number % 25 == 24:
                print(f"{number + 1:4}: {describe(seen[-1])}", flush=True)
        faults = grown(seen[min(options.settle, len(seen) - 1)], seen[-1])
        if latent(server, "last") != first:
            faults.append("the latents of the first and of the last prompt differ")
    print(f"{options.prompts} prompts; " + ("; ".join(faults) or "nothing grew, and the same latent to the bit"))
    raise SystemExit(int(bool(faults)))


def grown(settled: dict[str, float], last: dict[str, float]) -> list[str]:
    """What took more at the end than when all was warm."""
    faults = []
    if last["memory"] > MOST_GROWTH * settled["memory"]:
        faults.append(f"memory grew from {settled['memory'] / 1e6:.0f} to {last['memory'] / 1e6:.0f} MB")
    faults += [f"{name} grew from {settled[name]} to {last[name]}" for name in ("threads", "files")
               if last[name] > settled[name]]  # fmt: skip
    if last["cache"] > 2 * CACHE_LIMIT * 1e9:
        faults.append(f"the cache has {last['cache'] / 1e6:.1f} MB")
    if last["temp"] > settled["temp"] + MOST_TEMP:
        faults.append(f"the temp folder grew from {settled['temp'] / 1e6:.1f} to {last['temp'] / 1e6:.1f} MB")
    return faults


def taken(server: Server) -> dict[str, float]:
    """Bytes of memory, threads and open files of the host, and bytes of our cache and its temp folder."""
    assert server.process is not None
    process = Path("/proc") / str(server.process.pid)
    pages = int((process / "statm").read_text().split()[1])
    return {
        "memory": pages * 4096,
        "threads": len(list((process / "task").iterdir())),
        "files": len(list((process / "fd").iterdir())),
        "cache": size_of(server.output / "fewshot_video" / "cache"),
        "temp": size_of(server.base / "temp"),
    }


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def describe(seen: dict[str, float]) -> str:
    """What is taken, for people."""
    memory, cache, temp = (seen[name] / 1e6 for name in ("memory", "cache", "temp"))
    files, threads = int(seen["files"]), int(seen["threads"])
    return f"{memory:.0f} MB, {threads} threads, {files} files, cache {cache:.1f} MB, temp {temp:.1f} MB"


def graph(nodes: dict[str, Node]) -> dict[str, Any]:
    """A prompt as the host takes it."""
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


def training(number: int) -> dict[str, Any]:
    """Two steps of TIC-FT, and one of sampling with them; every fourth prompt brings clips that no cache knows."""
    encode = {"dataset": ["12", 0], "vae": ["1", 2], "clip": ["1", 1], "cache": True, "cache_limit": CACHE_LIMIT}
    train = {
        "model": ["1", 0], "encoded": ["13", 0], "task": "image to video", "rank": 2, "learning_rate": 1e-3, "steps": 2,
        "batch_size": 1, "seed": number,
    }  # fmt: skip
    loader = {"model": ["1", 0], "lora": ["14", 0], "strength_model": 1.0, "bypass": False}
    return graph({
        **sampled(["15", 0], number),
        "6": ("VAEDecode", {"samples": ["4", 0], "vae": ["1", 2]}),
        "7": ("SaveImage", {"images": ["6", 0], "filename_prefix": "soak"}),
        "12": ("FewShotToyClips", {"kind": "image to video", "count": 1, "seed": number // 4}),
        "13": ("FewShotEncodeDataset", encode),
        "14": ("TICFTTrain", train),
        "15": ("LoraModelLoader", loader),
    })  # fmt: skip


def sampling(number: int, prefix: str = "soak") -> dict[str, Any]:
    """One step of the bare toy model, and the latent as a file."""
    saved = {"samples": ["4", 0], "filename_prefix": prefix}
    return graph({**sampled(["1", 0], number), "5": ("SaveLatent", saved)})


def sampled(model: list[Any], number: int) -> dict[str, Node]:
    """The toy model, and one step with it or with a model made of it."""
    sample = {
        "model": model, "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0], "seed": number,
        "steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0,
    }  # fmt: skip
    return {
        "1": ("FewShotToyVideoModel", {}),
        "2": ("CLIPTextEncode", {"clip": ["1", 1], "text": "a red disc moves right"}),
        "3": ("EmptyHunyuanLatentVideo", {"width": 64, "height": 64, "length": 5, "batch_size": 1}),
        "4": ("KSampler", sample),
    }


def latent(server: Server, prefix: str) -> bytes:
    """Every bit of a latent that the base samples."""
    return saved_latent(server, server.wait(server.queue(sampling(10**6, prefix)), poll=0.05)["outputs"]["5"])


def saved_latent(server: Server, output: dict[str, Any]) -> bytes:
    """The values in the file of the host's Save Latent, by what it says of itself."""
    saved = output["latents"][-1]
    content = (server.output / saved["subfolder"] / saved["filename"]).read_bytes()
    length = int.from_bytes(content[:8], "little")  # of the header of a safetensors file, which holds the prompt, too
    place = json.loads(content[8 : 8 + length])["latent_tensor"]["data_offsets"]
    return content[8 + length :][slice(*place)]


if __name__ == "__main__":
    main()
