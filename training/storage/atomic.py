"""Files that are there whole or not at all, and digests of what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from .renaming import rename


@contextlib.contextmanager
def whole_file(path: Path, new: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which becomes ``path`` once the body has ended; after an error it is removed.

    Missing folders are made, and the bytes are on the disk before the file has its name. A ``new`` one replaces no
    other: of several processes one gets the name.

    Raises:
        FileExistsError: somebody has the name of a new file; nothing is overwritten.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if new:
            _claim(temporary, path)
        else:
            rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes so that a reader sees the old file or the whole new one.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_new(path: Path, data: bytes) -> None:
    """As ``write_atomically``, for a name that nobody has.

    Raises:
        FileExistsError: somebody has it; nothing is overwritten.
        OSError: the file cannot be written.
    """
    with whole_file(path, new=True) as temporary:
        temporary.write_bytes(data)


def _claim(temporary: Path, path: Path) -> None:
    """Give a whole file a free name, in one step of the system wherever there is such a step."""
    if sys.platform == "win32":
        temporary.rename(path)  # refuses a name that is taken, as it does nowhere else
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, exFAT for one
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    else:
        with contextlib.suppress(OSError):  # the file has its name, whatever becomes of the other one
            temporary.unlink()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all, straight from the tensors' memory.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    dense = {name: tensor.contiguous() for name, tensor in tensors.items()}
    facts = dict(metadata) if metadata else None
    with whole_file(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(dense, temporary, facts)
        except SafetensorError as error:  # also of a full disk
            raise _as_os_error(error) from error
        # The library replaces the file by one of its own, which only the owner may read whatever the umask.
        temporary.chmod(mode)


def _as_os_error(error: Exception) -> OSError:
    """What the library says of the system's error, as the system's error."""
    code = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(code[1]), os.strerror(int(code[1]))) if code else OSError(str(error))


def clear_temporary(folder: Path) -> None:
    """Remove what processes that were killed have left half-written in a folder.

    ``.tmp`` and some letters is what safetensors calls a file until it is whole.
    """
    for left in (*folder.glob("*.tmp"), *folder.glob(".tmp*")):
        with contextlib.suppress(OSError):  # nobody reads it; it may be gone the next time
            left.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether the name is that of a file that is not whole yet."""
    return path.suffix == ".tmp" or path.name.startswith(".tmp")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk too, where the system can do that."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, as hexadecimal digits; nothing is copied."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
