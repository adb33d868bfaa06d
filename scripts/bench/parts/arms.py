"""What benches of several arms and seeds share: their command line, their loop, and where a finished arm lies."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from parts import host_pack
from parts.seed_records import is_kept, keep

Figures = dict[str, float]


class Named(Protocol):
    """An arm."""

    @property
    def name(self) -> str: ...


def arm_parser(
    description: str | None, arms: Sequence[Named], seeds: str, out: str, more: Sequence[Named] = ()
) -> argparse.ArgumentParser:
    """Command line with ``--arms`` (``more`` are run where they are named), ``--seeds``, ``--threads`` and ``--out``.

    Args:
        seeds: what they are of, for the help.
        out: folder below ``out`` that records go to.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--arms", nargs="*", default=[arm.name for arm in arms], choices=[arm.name for arm in (*arms, *more)])
    add("--seeds", nargs="*", type=int, default=[0, 1, 2], help=f"of {seeds}")
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("out") / out)
    return parser


def add_adapter_options(parser: argparse.ArgumentParser, batch: int, cfg: float) -> None:
    """Settings of a LoRA's training and of sampling with it."""
    add = parser.add_argument
    add("--rank", type=int, default=16)
    add("--learning-rate", type=float, default=1e-3)
    add("--batch", type=int, default=batch)
    add("--shift", type=float, default=5.0, help="of the noise levels in training")
    add("--cfg", type=float, default=cfg)
    add("--sampling-steps", type=int, default=24)


def add_condition_options(parser: argparse.ArgumentParser, of: str) -> None:
    """Settings of TIC-FT's arms besides those of its LoRA: split, held-out conditions ``of`` what, base."""
    add = parser.add_argument
    add("--split", choices=("validation", "test"), default="validation")
    add("--conditions", type=int, default=32, help=f"held-out conditions of every {of}")
    add("--objects", choices=("small", "large"), default="small", help="their size: large, as the fine base knows them")
    add("--caption-dropout", type=float, default=0.0)
    add("--sampling-batch", type=int, default=8)
    add("--weights", type=Path, help="another network's file instead of the shipped one, such as `base_one_level`")


def chosen(arms: Sequence[Any], options: argparse.Namespace) -> Iterator[Any]:
    """The arms that were named, in their own order."""
    return (arm for arm in arms if arm.name in options.arms)


def run_arms(
    options: argparse.Namespace, arms: Sequence[Any], module: str, run: Callable[[Any, Any, int], None]
) -> None:
    """Start the host, then run the arms that were named on the ``Stage`` of ``parts.<module>``, seed by seed."""
    host_pack.start(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    stage = importlib.import_module(f"parts.{module}").Stage(options)  # needs the host
    for seed, arm in itertools.product(options.seeds, list(chosen(arms, options))):
        run(stage, arm, seed)


class Record:
    """The file of one arm and seed.

    Raises:
        SystemExit: it was made with other settings.
    """

    def __init__(self, path: Path, options: argparse.Namespace, settings: Sequence[str], **more: Any) -> None:
        self.path = path
        self.settings = {name: getattr(options, name) for name in settings} | more
        self.finished = is_kept(path, self.settings)
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the arm was begun."""
        return time.monotonic() - self.started

    def tell(self, name: str) -> None:
        """Print what was just done, with the time it took."""
        print(f"{self.seconds:6.0f} s  {name}", file=sys.stderr, flush=True)

    def keep(self, **found: Any) -> None:
        """Write the arm's figures."""
        keep(self.path, {"settings": self.settings, **found})


def read_rows(folder: Path, arms: Sequence[Named], prefix: str = "") -> dict[str, list[Figures]]:
    """Figures of every row of every arm's records, one a seed, in the arms' order."""
    rows: dict[str, list[Figures]] = {}
    for arm in arms:
        for path in sorted(folder.glob(f"{prefix}{arm.name} [0-9]*.json")):
            for name, found in json.loads(path.read_text(encoding="utf-8"))["rows"].items():
                rows.setdefault(name, []).append(found)
    return rows


def read_figures(
    folder: Path, arms: Sequence[Named], seeds: Sequence[int], prefix: str = ""
) -> dict[str, list[Figures]]:
    """Figures of every arm, one a seed, of records that hold one row."""
    rows: dict[str, list[Figures]] = {}
    for arm in arms:
        for path in (folder / f"{prefix}{arm.name} {seed}.json" for seed in seeds):
            if path.exists():
                rows.setdefault(arm.name, []).append(json.loads(path.read_text(encoding="utf-8"))["figures"])
    return rows
