"""What ``large_sets.py`` measures, each part in a process of its own."""

from __future__ import annotations

import contextlib
import inspect
import json
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from parts import host_pack

LATENTS, CAPTION, TOKENS = (16, 13, 60, 60), (512, 4096), 60
FRAMES, SIDE, FPS, ACTIONS = 49, 480, 16.0, 20
STEPS = 20
CHECKPOINT = 400  # MiB


def fill(root: str, folder: str, count: int) -> dict[str, Any]:
    """Write the clips and the entries of their cache."""
    start_host(root)
    write_clips(Path(folder), count)
    encoded, plan = prepared(Path(folder), count)
    cache, samples = encoded._cache, encoded.dataset.samples
    keys = [encoded._latents_key(sample, plan.recipe) for sample in samples]
    repeat(cache, keys, {name: latents() for name in ("x0", "reference_1", "reference_2")})
    repeat(cache, [encoded._text_key(sample.caption) for sample in samples], caption(""))
    cache.put(encoded._text_key(""), caption(""))
    return {"bytes": sum(path.stat().st_size for path in cache.folder.iterdir())}


def start(root: str, folder: str, count: int, limit: float) -> dict[str, Any]:
    """Start a run on a filled cache, and draw batches."""
    start_host(root)
    encoded, plan = prepared(Path(folder), count)
    from pack.nodes.host.trainers.aicl_plan import make_objective
    from pack.training.core.batches import StepGenerators, batch_indices

    before = most_memory()
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit * 2**30),) * 2)
    begun = time.perf_counter()
    plan.identity(encoded, None)
    plan.former(encoded, None)
    objective = make_objective(plan, encoded)
    objective.data.statistics()
    taken = time.perf_counter() - begun
    begun = time.perf_counter()
    for step in range(STEPS):
        objective.batch(batch_indices(0, step, objective.size, 2, objective.groups), StepGenerators.at(0, step))
    batch = 1000 * (time.perf_counter() - begun) / STEPS
    return {"start": taken, "before": before, "peak": most_memory(), "batch": batch}


def writes(root: str, entries: int) -> dict[str, Any]:
    """A small write into a folder of so many entries, 20 times."""
    start_host(root)
    import torch

    from pack.training.storage.cache import DiskCache

    with tempfile.TemporaryDirectory() as folder:
        for i in range(entries):
            (Path(folder) / f"{i:064x}.safetensors").write_bytes(b"")
        cache, begun = DiskCache(Path(folder)), time.perf_counter()
        for i in range(20):
            cache.put(str(i), {"x": torch.zeros(4)})
        return {"milliseconds": 1000 * (time.perf_counter() - begun) / 20}


def choices(root: str, entries: int) -> dict[str, Any]:
    """Which clips are references of which, of so many of one action."""
    start_host(root)
    from pack.training.aicl.groups import group_clips

    samples = [SimpleNamespace(target=SimpleNamespace(key=f"clip {i}".__str__), action="walks") for i in range(entries)]
    found: Any = SimpleNamespace(samples=samples)
    begun = time.perf_counter()
    group_clips(found, "sub-folder")
    taken = time.perf_counter() - begun
    tracemalloc.start()
    _kept = group_clips(found, "sub-folder")
    return {"milliseconds": 1000 * taken, "bytes": tracemalloc.get_traced_memory()[0]}


def clips(root: str, folder: str, count: int) -> dict[str, Any]:  # noqa: ARG001 - called as ``read`` is
    """Write small clips with captions, for ``read``."""
    write_clips(Path(folder), count, frames=9, side=64)
    for i in range(count):
        clip_path(Path(folder), i).with_suffix(".txt").write_text(f"caption {i:05}", encoding="utf-8")
    time.sleep(3)  # what was written a moment ago is not noted
    return {}


def read(root: str, folder: str, count: int) -> dict[str, Any]:
    """What Dataset from Folder does, with its table, in a session of its own whose temp folder is empty."""
    start_host(root)
    from pack.training.data import report_table
    from pack.training.data.folder import read_folder

    kept = Path(folder).with_name("kept")
    try:
        from pack.training.storage.known_files import files_known as known
    except ImportError:  # an older commit
        known = contextlib.nullcontext
    more = {"kept": kept / "pictures"} if "kept" in inspect.signature(report_table.report_table).parameters else {}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as pictures, known(kept):
        found = read_folder(Path(folder), 64, 64, 9, FPS)
        report_table.report_table(found, Path(pictures), lambda path: {"filename": path.name}, **more)
    if len(found.samples) != count:
        raise RuntimeError(f"{len(found.samples)} of {count} clips were read")
    return {"seconds": time.perf_counter() - begun}


def checkpoint(root: str, entries: int) -> dict[str, Any]:  # noqa: ARG001 - called as ``writes`` is
    """Memory that saving a state takes beside it, as a share of it."""
    start_host(root)
    import torch

    from pack.training.storage.state_file import write_state

    values = {"weights": [torch.randn(2**18) for _ in range(CHECKPOINT)]}  # 1 MiB each
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder) / "first.safetensors", {"weights": values["weights"][:1]})
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the most so far
        before = memory("VmRSS")
        write_state(Path(folder) / "state.safetensors", values)
        return {"share": (memory("VmHWM") - before) / (CHECKPOINT * 2**20)}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "fill": fill, "start": start, "writes": writes, "choices": choices, "clips": clips, "read": read,
    "checkpoint": checkpoint,
}  # fmt: skip


def start_host(root: str) -> None:
    host_pack.ROOT = Path(root)
    host_pack.start(threads=1)


def prepared(folder: Path, count: int) -> tuple[Any, Any]:
    """The set with encoders that do nothing, and the plan of a run on a small Wan."""
    import comfy.sd
    import torch

    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.trainers.aicl_plan import AiclRequest, plan_aicl
    from pack.training.core.config import TrainConfig
    from pack.training.data.encoding import EncodedDataset

    with torch.inference_mode():
        file = host_pack.random_wan(folder, dim=64, layers=1, text_dim=CAPTION[1])
        video = video_model(comfy.sd.load_diffusion_model(str(file)))
    data = dataset(folder, count)
    encoded = EncodedDataset(data, latents, caption, "bench", folder / "cache", lambda: None)
    request = AiclRequest(group_by="sub-folder", variants=2)
    return encoded, plan_aicl(video, TrainConfig(batch_size=2), request, encoded)


def dataset(folder: Path, count: int) -> Any:
    """Clips of as many files; of one of them it is known what all hold."""
    from pack.training.data.clips import FileClip
    from pack.training.data.dataset import Dataset, Sample
    from pack.training.data.media.decode import probe

    files = [clip_path(folder, i) for i in range(count)]
    info = probe(files[0])
    samples = tuple(
        Sample(
            FileClip(file, SIDE, SIDE, FRAMES, FPS, info), f"caption {i:05}", name=file.stem, action=f"{i % ACTIONS}"
        )
        for i, file in enumerate(files)
    )
    return Dataset(samples, SIDE, SIDE, FPS, "")


def clip_path(folder: Path, number: int) -> Path:
    return folder / f"clip {number:05}.mp4"


def write_clips(folder: Path, count: int, frames: int = FRAMES, side: int = SIDE) -> None:
    """A grey video, in files that differ by a few bytes behind its end."""
    import av
    import numpy as np

    first = clip_path(folder, 0)
    with av.open(str(first), "w") as file:
        stream: Any = file.add_stream("mpeg4", rate=int(FPS))
        stream.width = stream.height = side
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((side, side, 3), 128, np.uint8), "rgb24")
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    data = first.read_bytes()
    for i in range(1, count):
        clip_path(folder, i).write_bytes(data + f"{i:05}".encode())


def repeat(cache: Any, keys: list[str], tensors: dict[str, Any]) -> None:
    """One entry under keys of one length: what the cache writes, with another key in it, and with holes for zeros."""
    import numpy as np

    cache.put(keys[0], tensors)
    data = cache.path(keys[0]).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    others = start + np.frombuffer(data, np.uint8)[start:].nonzero()[0]
    written = [json.dumps(key).encode()[1:-1] for key in keys]
    for key, name in zip(keys, written, strict=True):
        head = data[:start].replace(written[0], name)
        if len(head) != start or name not in head:
            raise RuntimeError(f"the head of an entry does not hold {name!r} as it should")
        with cache.path(key).open("wb") as file:
            file.write(head)
            for place in others:
                file.seek(int(place))
                file.write(data[place : place + 1])
            file.truncate(len(data))


def latents(_pixels: Any = None) -> Any:
    import torch

    return torch.zeros(LATENTS)


def caption(_text: str) -> Any:
    """Tokens up to the last one that counts, all but a number of which are 0."""
    import torch

    found = torch.zeros(CAPTION)
    found[TOKENS - 1, -1] = 1.0
    return {"cross_attn": found}


def most_memory() -> int:
    """The most that the process has taken so far, in bytes."""
    return memory("VmHWM")


def memory(name: str) -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(status[name].split()[0]) * 1024
