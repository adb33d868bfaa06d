"""Named tensors kept on disk, found again by a text key and checked before use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .atomic import checksum, write_atomically

log = logging.getLogger(__name__)

ABANDONED = 24 * 3600.0  # seconds after which a temporary file belongs to no running process


class Cache(Protocol):
    """Where encoded results are kept."""

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The tensors stored under ``key``, or None."""
        ...

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Store tensors under ``key``."""
        ...


class MemoryCache:
    """Results kept as long as the object lives."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Tensor]] = {}

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The tensors stored under ``key``, the very ones, or None."""
        return self._entries.get(key)

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Store tensors under ``key``, not copied."""
        self._entries[key] = tensors


class DiskCache:
    """One safetensors file an entry, named by the SHA-256 of its key.

    The full key and a checksum of the tensors lie in the file's metadata: a damaged, truncated or foreign
    file is noticed, reported in the log and treated as absent, so that it alone is made again.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        """Keep entries in a folder.

        Args:
            folder: Where they lie.
            most: Bytes that all entries together may have: of more, those that were used longest ago are removed, but
                none that this object has given or stored. None: as many as there are.
        """
        self.folder, self.most = folder, most
        self._used: set[str] = set()
        self._total: int | None = None  # bytes of the folder, once they are known

    def path(self, key: str) -> Path:
        """File of an entry, whether it exists or not."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The tensors stored under ``key``, on the CPU, or None; a file that is not what was stored counts as none."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                # Clones, so that the file is not kept mapped: Windows could not replace it.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("Cache entry %s is damaged (%s) and will be made again", path.name, error)
            return None
        if metadata.get("key") != key or metadata.get("checksum") != checksum(tensors):
            log.warning("Cache entry %s is not what was stored and will be made again", path.name)
            return None
        self._used.add(path.name)
        with contextlib.suppress(OSError):  # a folder that cannot be written is read all the same
            os.utime(path)  # the time of the last use: what the system notes of it, many disks are told not to
        return tensors

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Store tensors under ``key``; an entry is there whole or not at all.

        Raises:
            RuntimeError: The file cannot be written, for instance because the disk is full.
        """
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        data = save(tensors, {"key": key, "checksum": checksum(tensors)})
        try:
            self._remove_abandoned()
            write_atomically(self.path(key), data)
            self._used.add(self.path(key).name)
            self._make_room(len(data))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else error.strerror
            raise RuntimeError(
                f"{len(data) / 1e6:.1f} MB could not be cached in {self.folder.name}/ because {reason}; "
                "free some space or turn the cache off"
            ) from error

    def _remove_abandoned(self) -> None:
        for path in self.folder.glob("*.tmp"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink(missing_ok=True)

    def _make_room(self, added: int) -> None:
        """Remove the entries that were used longest ago until the rest is within the limit."""
        if self.most is None:
            return
        if self._total is not None and self._total + added <= self.most:
            self._total += added
            return
        entries = sorted(self.entries(), key=lambda entry: entry[0])
        self._total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if self._total <= self.most:
                return
            if path.name not in self._used:
                with contextlib.suppress(OSError):  # somebody reads it; another goes in its place
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
