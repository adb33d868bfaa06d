"""The toy models' files."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

FOLDER = Path(__file__).parent / "weights"
BASE = FOLDER / "base.safetensors"
FINE_BASE = FOLDER / "fine_base.safetensors"  # tokens half as large in height and width, a noise level per frame
VAE = FOLDER / "vae.safetensors"
IMAGE_BASE = FOLDER / "image_base.safetensors"
IMAGE_VAE = FOLDER / "image_vae.safetensors"
ACTIONS = FOLDER / "aicl" / "toy_actions.safetensors"  # AICL adapter of BASE; the host lists its folder
FINE_ACTIONS = FOLDER / "aicl" / "toy_fine_actions.safetensors"  # of FINE_BASE
SHIFT = 5.0  # of the flow schedule the base is sampled with


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a weights file.

    Raises:
        RuntimeError: the file is missing.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise RuntimeError(f"the toy model's {path.name} is missing from the pack; install FewShot Video again")
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
