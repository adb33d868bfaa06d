"""Let the disk fail at every single call of a run of each trainer, and count how that ends.

    COMFYUI_PATH=... python scripts/stress/faults.py [--trainers tic_ft aicl motion tune_a_video] [--all-errors]
                                                     [--record faults.txt]

A run is cancelled half-way and goes on, with clips and captions in a cache on the disk. In turn each call that creates,
renames, links, syncs, reads or removes something fails, once: with one of three errors, or with each of them. What is
said has to be a sentence of ours, whatever lies there under its own name has to be whole, and on the same disk, well
again, the run has to end with the bytes of one that met no fault. A record lets the script go on where it was
ended.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support" / "training"))

from killed_training import TRAINERS, load_pack, trainer_of

STEPS, CANCELLED = 6, 4
Run = Callable[[str, int], Any]


def main() -> None:
    """Print, for each trainer and function, how many faults there were and how they ended.

    Raises:
        SystemExit: one ended in neither a sentence nor a result, or cost bytes.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument("--all-errors", action="store_true")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    load_pack()
    import host_in_process

    host_in_process.start()
    logging.disable(logging.WARNING)
    bad = sum(try_trainer(trainer, options.all_errors, options.record) for trainer in options.trainers)
    if bad:
        raise SystemExit(f"{bad} faults ended otherwise")


def try_trainer(trainer: str, all_errors: bool, record: Path | None) -> int:
    """All faults of one trainer; how many of them ended badly."""
    from disk_faults import POINTS, Disk, errors_of

    known = dict(line.rsplit(": ", 1) for line in record.read_text().splitlines()) if record and record.exists() else {}
    with tempfile.TemporaryDirectory(prefix="fewshot-faults-") as base:
        keep_encoded_on_the_disk()
        run = trainer_of(trainer, Path(base) / "wan.safetensors")
        attempt(run, Disk(Path(base) / "well"))  # not counted: a module that is imported on the way counts on
        expected, ends = learned(run("run", STEPS)), Counter[str]()
        counted = Disk(Path(base) / "counted")
        attempt(run, counted)
        for point in POINTS:
            here = Counter[str]()
            for number in range(1, counted.calls[point] + 1):
                codes = errors_of(point)
                for code in codes if all_errors else codes[number % len(codes) :][:1]:
                    name = f"{trainer} {point} {number} {code}"
                    if name not in known:
                        known[name] = try_fault(run, Disk(Path(base) / name, point, number, code), expected)
                        note(record, name, known[name])
                    here[known[name]] += 1
            print(f"{trainer:13} {point:9} {counted.calls[point]:4} calls: {dict(here)}", flush=True)
            ends += here
    bad = sum(count for end, count in ends.items() if end not in ("a sentence", "goes on"))
    print(f"{trainer}: {sum(ends.values())} faults, {dict(ends)}", flush=True)
    return bad


def note(record: Path | None, name: str, end: str) -> None:
    """Keep an end for the next time, and print a bad one."""
    if record:
        with record.open("a") as file:
            file.write(f"{name}: {end}\n")
    if end not in ("a sentence", "goes on"):
        print(f"{name}: {end}", flush=True)


def try_fault(run: Run, disk: Any, expected: dict[str, bytes]) -> str:
    """How one fault ends: "a sentence", "goes on", or what is wrong."""
    folder = Path(disk.folder)
    try:
        said = attempt(run, disk)
        if not disk.failed:
            return "the call did not come"
        if wrong := torn(folder):
            return f"half-written: {wrong}"
        if learned(run("run", STEPS)) != expected:
            return "other bytes"
        return "a sentence" if said else "goes on"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]!r}".replace("\n", " ").replace(": ", "; ")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def learned(outputs: Any) -> dict[str, bytes]:
    """The tensors in the outputs of a trainer and in the files they name, wherever these are."""
    from safetensors.torch import load_file
    from torch import Tensor

    named = outputs.items() if isinstance(outputs, dict) else enumerate(outputs)
    found = {}
    for name, value in named:
        if isinstance(value, str) and value.endswith(".safetensors"):
            value = load_file(value)
        if isinstance(value, dict):
            found |= {f"{name} {key}": tensor.numpy().tobytes() for key, tensor in value.items()
                      if isinstance(tensor, Tensor)}  # fmt: skip
    assert found, "nothing was learned"
    return found


def attempt(run: Run, disk: Any) -> bool:
    """Begin a run on a disk, cancel it, and let it go on; whether a sentence of ours came.

    Raises:
        Exception: what is said is no sentence of ours.
    """
    import folder_paths
    from comfy.model_management import InterruptProcessingException
    from disk_faults import failing
    from fair_answers import complaint

    folder_paths.set_output_directory(str(Path(disk.folder) / "output"))
    said = False
    with failing(disk):
        for part in ("cancelled", "goes on"):
            try:
                if part == "cancelled":
                    with cancelled_after(CANCELLED):
                        run("run", STEPS)
                else:
                    run("run", STEPS)
            except InterruptProcessingException:
                continue
            except Exception as error:
                if complaint(error):
                    raise
                said = True
    return said


def cancelled_after(steps: int) -> Any:
    """The user presses cancel after so many steps, of all stages together."""
    from unittest.mock import patch

    import comfy.model_management

    from pack.nodes.host.services.progress import StepProgress

    show, done = StepProgress.show, 0

    def pressed(self: Any, step: int, total: int | None = None) -> None:
        nonlocal done
        done += total is None
        if done == steps:
            comfy.model_management.interrupt_current_processing()
        show(self, step, total)

    return patch.object(StepProgress, "show", pressed)


def keep_encoded_on_the_disk() -> None:
    """Have what is encoded lie in a cache in the output folder of the moment, wherever that is."""
    import folder_paths

    from pack.training.data import encoding
    from pack.training.storage.cache import DiskCache

    class CacheHere(DiskCache):
        folder = property(lambda _: Path(folder_paths.get_output_directory()) / "cache", lambda _, __: None)

    encoding.MemoryCache = lambda: CacheHere(Path())  # type: ignore[assignment]


def torn(folder: Path) -> str:
    """The first file that has its own name and is not whole; empty where all are."""
    from safetensors.torch import load_file

    from pack.training.storage.json_text import read_json

    for path in sorted((folder / "output").rglob("*")):
        try:
            if path.suffix == ".safetensors":
                load_file(path)
            elif path.suffix == ".json":
                read_json(path)
        except Exception as error:
            return f"{path.name}, {error}"
    return ""


if __name__ == "__main__":
    main()
