"""Files that the fuzzer's nodes read: good, damaged and hostile ones of each kind, the same in every run."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

DEEP = "[" * 20_000 + "]" * 20_000  # deeper than Python's own reader goes
NUMBER = re.compile(r"\d+(\.\d+)?")
Weights, Texts = dict[str, Tensor], dict[str, str]


def _some(change: Callable[[Tensor], Tensor]) -> Callable[[Weights, Texts], tuple[Weights, Texts]]:
    """A damage to some tensors, in files of pairs and of threes to one of each kind."""
    return lambda weights, texts: (
        {key: change(weights[key]).contiguous() if i % 5 in (1, 2) else weights[key] for i, key in enumerate(weights)},
        texts,
    )


def _texts(change: Callable[[str], str]) -> Callable[[Weights, Texts], tuple[Weights, Texts]]:
    """A damage to all that the file says of itself, but for its method, without which nothing else is read."""
    return lambda weights, texts: (
        weights,
        {key: value if key.endswith("method") else change(value) for key, value in texts.items()},
    )


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) * 2 // 3],
    "nothing": lambda _data: b"",
    "page": lambda _data: b"<!DOCTYPE html><title>404</title>",  # the commonest damage: what a failed download leaves
    "header": lambda data: struct.pack("<Q", 2**60) + data[8:],
}
CONTENT: dict[str, Callable[[Weights, Texts], tuple[Weights, Texts]]] = {
    "deep": _texts(lambda _text: DEEP),
    "absurd": _texts(lambda text: NUMBER.sub("1000000000000", text)),
    "negative": _texts(lambda text: NUMBER.sub("-1", text)),
    "nan_said": _texts(lambda text: NUMBER.sub("NaN", text)),
    "words": _texts(lambda _text: '"words"'),
    "silent": lambda weights, _texts: (weights, {}),
    "nan": _some(lambda value: torch.full_like(value, torch.nan)),
    "flat": _some(lambda value: value.reshape(-1)),
    "turned": _some(lambda value: value.transpose(0, -1) if value.ndim else value),
    "more_axes": _some(lambda value: value[..., None, None]),
    "empty": _some(lambda value: value[:0] if value.ndim else value),
    "whole": _some(lambda value: value.long()),
    "half": lambda weights, texts: ({key: weights[key] for key in sorted(weights)[::2]}, texts),
}
ROW = '{"file_name": "a.mp4", "text": "x"'
LISTS: dict[str, dict[str, str]] = {  # beside two good clips
    "good": {"a.txt": "a ball", "b.txt": "a ring"},
    "listed": {"metadata.jsonl": f"{ROW}}}\n"},
    "deep": {"metadata.jsonl": DEEP},
    "absurd": {"metadata.jsonl": f'{ROW}, "start": 1e308, "frames": 1e308, "fps": -1, "num_frames": 1e999}}\n'},
    "elsewhere": {"metadata.jsonl": f'{ROW}}}\n{{"file_name": "../../../../etc/passwd", "text": "x"}}\n'},
    "other_json": {"metadata.json": "[1, {}, null, [[]]]", "captions.json": DEEP},
    "table": {"metadata.csv": 'file_name,text\n"a.mp4,\n', "prompt.txt": "one\n", "videos.txt": "a.mp4\nb.mp4\n"},
    "toml": {"dataset.toml": "[[datasets]]\nnum_repeats = 1e400\nframe_extraction = 3\n[[datasets]]"},
    "toml_deep": {"dataset.toml": f"[[datasets]]\nvideo_directory = {DEEP}"},
    "yaml": {"dataset.yaml": "a: &a [*a]\nb: [" * 50},
}


def write_models(base: Path) -> None:
    """Fill ``loras``, ``aicl`` and ``tune_a_video`` below a folder of models."""

    import tiny_aicl
    import tiny_unet
    import tuned_models
    from method_files import save_adapter, save_tuned

    from pack.methods.tic_ft import Layout
    from pack.training.core.methods import MOTION, TUNE_A_VIDEO
    from pack.training.lora.file import LoraModel, save_lora
    from pack.training.lora.metadata import to_metadata
    from pack.training.tic_ft.layout import ticft_settings

    settings = ticft_settings("image to video", Layout.linear(1, 3, 2))
    said = {**{key: json.dumps(value) for key, value in settings.items()}, "base_family": "Wan 2.1"}
    loras = base / "loras"
    ours = _pairs("diffusion_model.blocks.{}.self_attn.q", "lora_down", "lora_up")
    save_lora(LoraModel(ours, to_metadata(said)), loras / "tic_ft.safetensors")
    save_lora(LoraModel(ours, to_metadata({"method": json.dumps(MOTION)})), loras / "motion.safetensors")
    theirs = _pairs("transformer.blocks.{}.attn1.to_q", "lora_A", "lora_B")
    save_lora(LoraModel(theirs), loras / "diffusers.safetensors")
    save_adapter(tiny_aicl.random_adapter("Wan 2.1"), base / "aicl" / "actions.safetensors")
    save_tuned(tuned_models.tuned_of(tiny_unet.fresh_unet()), base / "tune_a_video" / "tuned.safetensors")
    products = _pairs("queries.blocks.{}.attn1.to_q", "lora_down", "lora_up")
    products |= {f"queries.blocks.{i}.attn1.to_q.alpha": torch.tensor(2.0) for i in range(2)}
    said = {"method": json.dumps(TUNE_A_VIDEO), "base_family": "Stable Diffusion 1.x, noise prediction"}
    save_lora(LoraModel(products, to_metadata(said)), base / "tune_a_video" / "products.safetensors")
    for path in sorted(base.rglob("*.safetensors")):
        _write_damaged(path)


def _pairs(layer: str, down: str, up: str) -> Weights:
    generator = torch.Generator().manual_seed(0)
    shapes = {f"{down}.weight": (2, 48), f"{up}.weight": (48, 2)}
    names = {f"{layer.format(i)}.{part}": shape for i in range(2) for part, shape in shapes.items()}
    return {name: torch.randn(shape, generator=generator) for name, shape in names.items()}


def _write_damaged(path: Path) -> None:
    """Beside a good file each damage to it."""
    with safe_open(path, framework="pt") as file:
        texts = dict(file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    for name, change in CONTENT.items():
        changed, said = change(weights, texts)
        save_file({key: value.clone() for key, value in changed.items()}, _beside(path, name), metadata=said)
    for name, cut in BYTES.items():
        _beside(path, name).write_bytes(cut(path.read_bytes()))


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}.safetensors")


def write_inputs(base: Path) -> None:
    """Fill folders below ``input``: good clips, damaged ones, and lists that name them well and badly."""
    from odd_clips import picture, write_clip

    base.mkdir(parents=True)
    clip = write_clip(base / "clip.mp4", frames=[picture(32, 32)] * 10).read_bytes()
    for name, texts in LISTS.items():
        (base / name).mkdir()
        for file in ("a.mp4", "b.mp4"):
            (base / name / file).write_bytes(clip)
        for file, text in texts.items():
            (base / name / file).write_text(text, encoding="utf-8")
    damaged = base / "damaged"
    damaged.mkdir()
    for name, cut in BYTES.items():
        (damaged / f"{name}.mp4").write_bytes(cut(clip))
        (damaged / f"{name}.txt").write_bytes(b"\xff\xfe\x00caption")
        (damaged / f"{name}.png").write_bytes(cut(b"\x89PNG\r\n\x1a\n" + clip[:99]))
    (base / "nothing").mkdir()


def write_run() -> None:
    """A short run, and the LoRA that it makes, in the host's output folder."""
    import tiny_aicl
    from tic_ft_runs import train

    train(tiny_aicl.model_of("Wan 2.1"), "run", steps=2)


def put_host_in(base: Path, patch: Any) -> None:
    """Have the host's folders lie below one of these files, and nothing of other tests in them."""
    import folder_paths

    for name in ("input", "output", "temp", "user"):
        (base / name).mkdir(exist_ok=True)
        patch.setattr(folder_paths, f"{name}_directory", str(base / name))
    patch.setattr(folder_paths, "models_dir", str(base / "models"))
    endings = folder_paths.supported_pt_extensions
    ours = {name: ([str(base / "models" / name)], endings) for name in ("loras", "aicl", "tune_a_video")}
    patch.setattr(folder_paths, "folder_names_and_paths", {**folder_paths.folder_names_and_paths, **ours})
    patch.setattr(folder_paths, "filename_list_cache", {})
