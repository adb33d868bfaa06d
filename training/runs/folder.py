"""A run on the disk: its record, its checkpoints and its best LoRA; whatever lies there is whole."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..lora.metadata import PACK_VERSION
from ..storage.atomic import clear_temporary, is_temporary
from ..storage.json_text import read_json
from ..storage.renaming import rename
from ..storage.state_file import read_state, write_json, write_state

log = logging.getLogger(__name__)

RECORD, STATES, BEST, HISTORY = "run.json", "states", "best.safetensors", "history.json"
FORMAT = "fewshot_video.run 1"
RUNNING, FINISHED, STOPPED, CANCELLED, FAILED = "running", "finished", "stopped", "cancelled", "failed"
Values = dict[str, Any]


class DamagedRecordError(ValueError):
    """A run's folder whose record says nothing that could be used."""


class RunFolder:
    """The folder of one run. ``record`` says what the run was asked for and how far it came."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.record: Values = {}

    @property
    def folder(self) -> Path:
        """The same as ``path``, as monitors call it."""
        return self.path

    @property
    def id(self) -> str:
        """Letters and digits that no other run has; they stay when the run is resumed."""
        return self.record["id"]

    def read(self) -> bool:
        """Read the record; False where there is no run.

        Raises:
            DamagedRecordError: the record cannot be read.
            ValueError: the folder is not that of a run.
        """
        path = self.path / RECORD
        if not path.exists():
            # A process that was killed within its very first write has left that file half-written, and no more.
            if self.path.is_dir() and not all(is_temporary(path) for path in self.path.iterdir()):
                raise ValueError(f"the folder {self.name} holds files but no run of this pack; {_ANOTHER}")
            return False
        try:
            record = read_json(path)
            if record["format"] != FORMAT or not all(isinstance(record[name], dict) for name in ("config", "identity")):
                raise ValueError("it is of another kind")
            if not re.fullmatch(r"[0-9a-f]{32}", record["id"]):
                raise ValueError("it has no id")
            if not isinstance(record["config"].get("steps", 0), int) or not isinstance(
                record.get("accepted", []), list
            ):
                raise ValueError("its steps or changes are none")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedRecordError(
                f"the record of the run {self.name} cannot be used ({error}); {_ANOTHER}"
            ) from error
        self.record = record
        return True

    def begin(self, **values: Any) -> None:
        """Write the record of a run that starts or goes on, and clear away what an earlier process left half-written.

        Raises:
            OSError: the folder cannot be written.
        """
        self.record = {
            "format": FORMAT, "id": uuid.uuid4().hex, "step": 0, **self.record, **values,
            "pack_version": PACK_VERSION, "state": RUNNING,
        }  # fmt: skip
        self.note()
        for folder in (self.path, self.path / STATES):
            clear_temporary(folder)

    def note(self, **values: Any) -> None:
        """Write further values into the record.

        Raises:
            OSError: the folder cannot be written.
        """
        self.record |= values
        write_json(self.path / RECORD, self.record)

    def save(self, step: int, values: Values, keep: int, best: int | None = None) -> Path:
        """Write a state of the run and remove all but the newest ``keep`` and that of the best step.

        A state that is written counts, whatever becomes of the record and of the old ones.

        Raises:
            OSError: the state cannot be written.
        """
        path = write_state(self.state_path(step), {**values, "run": self.id})
        kept = [step for step, _ in self.states()][:keep]
        try:
            self.note(step=step, best=best)
            for other, old in self.states():
                if other not in kept and other not in (best, step):
                    old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s is saved; its record or an older state could not be changed (%s)", path.name, error)
        return path

    def state_path(self, step: int) -> Path:
        """File of the state after so many steps."""
        return self.path / STATES / f"state_{step:08}.safetensors"

    def states(self) -> list[tuple[int, Path]]:
        """Checkpoints, the newest first."""
        found = ((re.fullmatch(r"state_(\d+)", path.stem), path) for path in self.path.glob(f"{STATES}/*.safetensors"))
        return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)

    def load(self, most: int | None = None) -> Values | None:
        """The newest state that is whole and this run's, of at most so many steps; None where there is none."""
        return next(self._readable(most), None)

    def forget_after(self, step: int) -> None:
        """Remove the states of later steps: the run goes another way from here."""
        for later, path in self.states():
            if later > step:
                path.unlink(missing_ok=True)

    def _readable(self, most: int | None) -> Iterator[Values]:
        for step, path in self.states():
            if most is not None and step > most:
                continue
            try:
                values = read_state(path)
                if values["run"] != self.id:
                    raise ValueError(f"{path.name} belongs to another run")
            except (ValueError, KeyError, TypeError) as error:
                log.warning("%s; the state before it is used", error)
                continue
            yield values

    def set_aside(self) -> Path:
        """Rename the folder, so that a new run can have its name; nothing is deleted.

        Raises:
            OSError: it cannot be renamed.
        """
        number = 1
        while (aside := self.path.with_name(f"{self.name} (old {number})")).exists():
            number += 1
        rename(self.path, aside)
        self.record = {}
        return aside


# Of the 255 bytes that a name may have: a motion run's file gets "_appearance_best_00001_.safetensors", 35, and while
# it is written ".", 32 digits and ".tmp", 37.
LONGEST = 180
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³")}
_ANOTHER = "give another run_name, or move that folder away"


def check_length(name: str) -> None:
    """Refuse a name that is too long for a file once a number, an ending and a temporary one are added.

    Raises:
        ValueError: the name has too many bytes.
    """
    length = len(name.encode())
    if length > LONGEST:
        raise ValueError(
            f"the name {name[:40]!r}... has {length} bytes, disks take {LONGEST} for it with what is added; shorten it"
        )


def check_run_name(name: str) -> None:
    """Refuse a name that could lead elsewhere, or that Windows cannot give to a folder.

    Source: "Naming Files, Paths, and Namespaces", learn.microsoft.com: no dot or space at the end, and no device,
    whatever follows a dot.

    Raises:
        ValueError: the name could lead elsewhere, or Windows cannot have it.
    """
    if not re.fullmatch(r"\w[\w .+-]*", name) or name.endswith((".", " ")):
        raise ValueError(
            f"the run name {name!r} cannot name a folder; use letters, digits, spaces, dots, _ and -, and no dot or "
            "space at the end"
        )
    check_length(name)
    if name.partition(".")[0].rstrip().upper() in _DEVICES:
        raise ValueError(f"the run name {name!r} is a device on Windows and cannot name a folder there; give another")


def free_name(folder: Path, name: str) -> str:
    """``name_00001`` with the first number that no folder has, and no other process has locked for one."""
    paths = (*folder.glob(f"{name}_*"), *folder.glob(f".{name}_*.lock"))
    taken = [int(m[1]) for path in paths if (m := re.fullmatch(r".*_(\d{5,})(?:\.lock)?", path.name))]
    return f"{name}_{max(taken, default=0) + 1:05}"
