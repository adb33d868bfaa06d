"""What TICFTLoadLoRA adds to a model against what the library that wrote the file adds: a table for docs/.

    COMFYUI_PATH=... python scripts/bench/lora_matrix.py [--family Wan] [--writer PEFT]

Each file is written by the library itself for a small network with random weights; a figure is the largest relative
error (L2) of what is added to a layer, "refused" where the node refuses the file. PEFT and LyCORIS are needed:
``pip install peft==0.21.2 lycoris-lora==4.1.3`` into ComfyUI's Python or a folder on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.lora_writers import WRITERS, Change

SUPPORT = Path(__file__).resolve().parents[2] / "tests" / "support"
CLOSE = 1e-5


def layers_for_host(change: Change, twin: Any) -> Change:
    """Changes of diffusers' layers by the host's names; parts of a fused layer are put together."""
    import torch

    table, found, parts = twin.table(), {}, {}
    for name, value in change.items():
        host, part = table.to_host(name), table.part_of(name)
        if part is not None:
            parts.setdefault(host, {})[part] = value
        else:
            found[host] = torch.cat(value.chunk(2)[::-1]) if table.is_swapped(host) and host != name else value
    for host, given in parts.items():
        width = next(iter(given.values())).shape[1]
        sizes = [count * width for _, count in table.parts(host)]
        found[host] = torch.cat([given.get(i, torch.zeros(size, width)) for i, size in enumerate(sizes)])
    return found


def network_of(side: str, twin: Any) -> Any:
    """A network of its own, the host's or diffusers', with the weights of the tiny model."""
    import copy

    import tiny_families
    import torch

    with torch.inference_mode(False):
        if side == "diffusers":
            return twin.diffusers_network()
        network = copy.deepcopy(tiny_families.fresh_model_of(twin.model).model.diffusion_model)
        for module in network.modules():
            for name, value in module._parameters.items():
                module._parameters[name] = torch.nn.Parameter(value.clone()) if value is not None else None
        return plain(network)


def plain(network: Any) -> Any:
    """The same with torch's own linear layers and convolutions, which the libraries know."""
    from torch import nn

    for module in network.modules():
        for kind in (nn.Linear, nn.Conv2d, nn.Conv3d):
            if isinstance(module, kind):
                module.__class__ = kind
    return network


def error(writer: Any, side: str, twin: Any) -> str:
    """The largest relative error of a layer, or what the node says instead."""
    import folder_paths
    import tiny_families
    from lora_files import weights_of

    from pack.nodes.tic_ft_train import TICFTLoadLoRA

    folder = Path(folder_paths.get_folder_paths("loras")[0]) / tempfile.mkdtemp().rpartition("/")[2]
    folder.mkdir(parents=True)
    try:
        wanted = writer(network_of(side, twin), folder)
    except ValueError as refusal:  # the library's own, of these sizes
        print(f"    {refusal}", file=sys.stderr)
        return ""
    wanted = layers_for_host(wanted, twin) if side == "diffusers" else wanted
    (file,) = folder.glob("*.safetensors")
    folder_paths.filename_list_cache.clear()
    model = tiny_families.model_of(twin.model)
    before = weights_of(model)
    try:
        patched = TICFTLoadLoRA.execute(model, f"{folder.name}/{file.name}", 1.0).result[0]
    except ValueError as refusal:
        print(f"    {refusal}", file=sys.stderr)
        return "refused"
    after = weights_of(patched)
    errors = []
    for name, value in before.items():
        layer = name.removesuffix(".weight")
        added = after[name] - value
        if layer in wanted and layer != name:
            errors.append(float((added - wanted[layer]).norm() / wanted[layer].norm()))
        elif bool(added.any()) and not name.endswith(".bias"):
            return f"**{name} is changed**"
    worst = max(errors)
    return f"{worst:.1e}" if worst <= CLOSE else f"**{worst:.1e}**"


def table(families: list[str], writers: list[str]) -> Iterator[str]:
    from converted_loras import TWINS

    yield "| written by | " + " | ".join(families) + " |"
    yield "|---|" + "---|" * len(families)
    for name in writers:
        side, writer = WRITERS[name]
        cells = []
        for family in families:
            print(f"{name}: {family}", file=sys.stderr)
            cells.append(error(writer, side, TWINS[family]))
        yield f"| {name} | " + " | ".join(cells) + " |"


def main() -> int:
    """Print the table; 1 where something is applied wrongly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="", help="only families whose name has this in it")
    parser.add_argument("--writer", default="", help="only rows whose name has this in it")
    options = parser.parse_args()
    host_pack.start(threads=1)
    sys.path += [str(folder) for folder in SUPPORT.iterdir() if folder.is_dir()]
    from converted_loras import TWINS

    families = [name for name in TWINS if options.family in name]
    versions = ", ".join(f"{name} {version(package)}" for name, package in PACKAGES.items())
    lines = list(table(families, [name for name in WRITERS if options.writer in name]))
    print("\n".join([f"Written by {versions}.", "", *lines]))
    return int(any("**" in line for line in lines))


PACKAGES = {"diffusers": "diffusers", "PEFT": "peft", "LyCORIS": "lycoris-lora"}

if __name__ == "__main__":
    sys.exit(main())
