"""Named tensors kept on disk, found again by a text key and checked before use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol
from weakref import WeakSet

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from .atomic import is_temporary, write_atomically
from .compact import Compact, Form, Shapes, whole_shapes
from .json_text import parse_json
from .noted import Noted, stamps
from .opened import opened
from .tensor_file import checksum

log = logging.getLogger(__name__)

HEADS = "heads.json"  # what the entries of a folder hold, in short
RECENT = 3600.0  # seconds in which a use is none for itself
ABANDONED = 24 * 3600.0  # seconds after which a temporary file belongs to no running process
FORM, SUM, SUM_OF_FORM = "form", "checksum", "checksum with form"  # of the metadata


class Cache(Protocol):
    """Where encoded results are kept."""

    def read(self, key: str) -> Compact | None:
        """What is stored under ``key``, or None."""
        ...

    def shapes(self, key: str) -> Shapes | None:
        """The shapes of what is stored under ``key``, told without reading it, or None."""
        ...

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> Compact:
        """Store tensors under ``key``; what is kept of them."""
        ...

    def discard(self, key: str) -> None:
        """Forget what is stored under ``key``."""
        ...

    def settle(self) -> None:
        """Keep in short what was found, so that the same entries are found faster the next time."""
        ...


class MemoryCache:
    """Results kept as long as the object lives."""

    def __init__(self) -> None:
        self._entries: dict[str, Compact] = {}

    def read(self, key: str) -> Compact | None:
        """What is stored under ``key``, the very tensors, or None."""
        return self._entries.get(key)

    def shapes(self, key: str) -> Shapes | None:
        """Their shapes, or None."""
        return self._entries[key].shapes if key in self._entries else None

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> Compact:
        """Store tensors under ``key``."""
        self._entries[key] = Compact.of(tensors)
        return self._entries[key]

    def discard(self, key: str) -> None:
        """Forget them."""
        self._entries.pop(key, None)

    def settle(self) -> None:
        """Nothing is faster than what is in memory."""


class DiskCache:
    """One safetensors file an entry, named by the SHA-256 of its key.

    The full key and a checksum of the tensors lie in the file's metadata: a damaged, truncated or foreign
    file is noticed, reported in the log and treated as absent, so that it alone is made again. The shapes of all
    entries are noted in one file (``HEADS``), which counts while an entry's size and times stay: a large set is found
    without opening one.
    """

    _living: ClassVar[WeakSet[DiskCache]] = WeakSet()

    def __init__(self, folder: Path, most: int | None = None) -> None:
        """Keep entries in a folder.

        Args:
            folder: Where they lie.
            most: Bytes that all entries together may have: of more, those that were used longest ago are removed, but
                none that a cache of this process has given or stored. None: as many as there are.
        """
        self.folder, self.most = folder, most
        self._heads = Noted(folder / HEADS)
        self._used: set[str] = set()
        self._swept = False  # whether what killed processes left is gone
        self._total = 0  # bytes of the folder, once it was listed
        self._oldest: list[tuple[float, int, Path]] | None = None  # what may be removed, the oldest last
        self._living.add(self)

    def path(self, key: str) -> Path:
        """File of an entry, whether it exists or not."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The tensors stored under ``key``, on the CPU, or None; a file that is not what was stored counts as none."""
        found = self.read(key)
        return None if found is None else found.whole()

    def read(self, key: str) -> Compact | None:
        """The same as they lie in the file."""

        def tensors(file: Any) -> dict[str, Tensor]:
            # Clones, so that the file is not kept mapped: Windows could not replace it.
            return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118

        path = self.path(key)
        found = _opened(path, tensors)
        if found is None:
            return None
        metadata, form, values = found
        entry = Compact(values, form)
        if metadata.get("key") != key or metadata.get(_sum_name(entry.form)) != _sum(entry):
            log.warning("Cache entry %s is not what was stored and will be made again", path.name)
            return None
        self._use(path, entry.shapes)
        return entry

    def shapes(self, key: str) -> Shapes | None:
        """The shapes of what is stored under ``key``, or None; the head of the file is read where none is noted."""
        path = self.path(key)
        shapes = self._noted(path)
        if shapes is None:
            shapes = self._head(path, key)
        if shapes is not None:
            self._use(path, shapes)
        return shapes

    def _noted(self, path: Path) -> Shapes | None:
        try:
            found = self._heads.find(path.stem, stamps(path.stat()))
            return None if found is None else {name: torch.Size(shape) for name, shape in found.items()}
        except (OSError, TypeError, AttributeError):  # no such file, or no such shapes
            return None

    def _head(self, path: Path, key: str) -> Shapes | None:
        def sizes(file: Any) -> Shapes:
            return {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

        found = _opened(path, sizes)
        if found is None:
            return None
        metadata, form, shapes = found
        if metadata.get("key") != key or _sum_name(form) not in metadata:
            return None
        return whole_shapes(shapes, form)

    def _use(self, path: Path, shapes: Shapes) -> None:
        self._used.add(path.name)
        with contextlib.suppress(OSError):  # a folder that cannot be written is read all the same
            stat = path.stat()
            if time.time() - stat.st_mtime > RECENT:
                os.utime(path)  # the time of the last use: what the system notes of it, many disks are told not to
                stat = path.stat()
            self._heads.note(path.stem, stamps(stat), shapes)

    def settle(self) -> None:
        """Write down the shapes that were found, without those of entries that are gone."""
        with contextlib.suppress(OSError):
            there = {entry.name.partition(".")[0] for entry in os.scandir(self.folder)}
            self._heads.save(there.__contains__)

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> Compact:
        """Store tensors under ``key``; an entry is there whole or not at all.

        Raises:
            RuntimeError: The file cannot be written, for instance because the disk is full.
        """
        entry = Compact.of(tensors)
        metadata = {"key": key, _sum_name(entry.form): _sum(entry)}
        data = save(dict(entry.tensors), {**metadata, **({FORM: json.dumps(entry.form)} if entry.form else {})})
        try:
            self._remove_abandoned()
            write_atomically(self.path(key), data)
            self._use(self.path(key), entry.shapes)
            self._make_room(len(data))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else error.strerror
            raise RuntimeError(
                f"{len(data) / 1e6:.1f} MB could not be cached in {self.folder.name}/ because {reason}; "
                "free some space or turn the cache off"
            ) from error
        return entry

    def discard(self, key: str) -> None:
        """Remove an entry; one that another process holds stays."""
        with contextlib.suppress(OSError):
            self.path(key).unlink()

    def _remove_abandoned(self) -> None:
        """Once a cache, for the folder may be long; another process may be faster, or still hold a file."""
        if self._swept:
            return
        self._swept = True
        for path in filter(is_temporary, self.folder.glob("*tmp*")):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()

    def _make_room(self, added: int) -> None:
        """Remove the entries that were used longest ago until the rest is within the limit; they are listed once."""
        if self.most is None:
            return
        if self._oldest is None:
            self._oldest = sorted(self.entries(), reverse=True)
            added = sum(size for _, size, _ in self._oldest)
        self._total += added
        while self._total > self.most and self._oldest:
            used, size, path = self._oldest.pop()
            with contextlib.suppress(OSError):  # somebody reads it, or has removed it; another goes in its place
                if path.stat().st_mtime <= used and not any(path.name in cache._used for cache in self._living):
                    path.unlink()
                    self._total -= size
        if self._total > self.most:
            log.info("the cache has %.1f GB, all of which this run uses", self._total / 1e9)

    def entries(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, size in bytes and path of every entry."""
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path


def _opened(path: Path, read: Any) -> tuple[Mapping[str, str], Form, Any] | None:
    """Metadata and form of an entry's file, and what ``read`` takes from it; None where it is missing or damaged."""
    if not path.is_file():
        return None
    try:
        with opened(path) as file:
            metadata = file.metadata() or {}
            form = parse_json(metadata.get(FORM, "{}"))
            return metadata, {name: (str(dtype), int(rows)) for name, (dtype, rows) in form.items()}, read(file)
    except FileNotFoundError:  # another process has made room
        return None
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("Cache entry %s is damaged (%s) and will be made again", path.name, error)
        return None


def _sum_name(form: Form) -> str:
    """Of the checksum; older versions, which would not make the tensors whole, find none and encode anew."""
    return SUM_OF_FORM if form else SUM


def _sum(entry: Compact) -> str:
    found = checksum(entry.tensors)
    return hashlib.sha256(f"{json.dumps(entry.form)}\n{found}".encode()).hexdigest() if entry.form else found
