"""Memory of a long video by window: the peak of each, and what the process has in use between two of them.

    COMFYUI_PATH=... python scripts/bench/long/memory.py [--seconds 240] [--steps 1] [--heap]

One video on the coarse toy base without a LoRA, in few steps a window, as its pictures do not matter; Linux alone.
Blocks above 1 MB come from the system and go back to it, as in ``long_video.py``; `--heap` leaves them to glibc, which
keeps freed ones in pieces.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from long_video import RETURNED

EVERY = 10  # windows of a row
FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class MallocInfo(ctypes.Structure):
    """What glibc's ``mallinfo2`` gives, bytes."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


def main() -> None:
    """Make the video and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--steps", type=int, default=1, help="of each window's sampling")
    parser.add_argument("--heap", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("out") / "long_memory")
    options = parser.parse_args()
    if not options.heap and not RETURNED.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **RETURNED})
    from parts import host_pack

    host_pack.start(1)
    print("| windows | peak of one, MB | in use, MB | freed and kept, MB |\n|---|---|---|---|")
    rows = Rows()
    make(options.seconds, options.steps, options.out, rows.add)
    rows.end()


class Rows:
    """The peaks of some windows, a row each time there are enough."""

    def __init__(self) -> None:
        self.peaks: list[int] = []
        self.libc: Any = ctypes.CDLL("libc.so.6")
        self.libc.mallinfo2.restype = MallocInfo

    def add(self) -> None:
        """Note the peak since the window before, and look for another one from here on."""
        lines = (line.split(":") for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
        self.peaks.append(int(dict(lines)["VmHWM"].split()[0]))
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        if len(self.peaks) % EVERY == 0:
            info, last = self.libc.mallinfo2(), self.peaks[-EVERY:]
            used, kept = (info.uordblks + info.hblkhd) / 2**20, info.fordblks / 2**20
            count = len(self.peaks)
            print(f"| {count - EVERY + 1} to {count} | {min(last) / 1024:.0f} to {max(last) / 1024:.0f} | {used:.1f} | "
                  f"{kept:.0f} |", flush=True)  # fmt: skip

    def end(self) -> None:
        """What the last windows' peak is of the first ones'."""
        first, last = max(self.peaks[:EVERY]), max(self.peaks[-EVERY:])
        print(f"\npeak of the last {EVERY} windows over that of the first: {last / first:.3f}")


def make(seconds: int, steps: int, out: Path, noted: Callable[[], None]) -> None:
    """Make a video; ``noted`` is called after each window."""
    import folder_paths
    import runs
    import torch
    from comfy_api.latest import InputImpl
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    from pack.nodes.host.model import toy
    from pack.nodes.host.sampling.long_output import LongOutput
    from pack.nodes.tic_ft_long import TICFTLongVideo
    from pack.toy.world import FPS

    out.mkdir(parents=True, exist_ok=True)
    folder_paths.set_output_directory(str((out / "output").resolve()))
    source = runs.write_source(out, runs.scene_of(), round(seconds * FPS))
    add = LongOutput.add

    def added(self: Any, *given: Any) -> None:
        add(self, *given)
        noted()

    LongOutput.add = added
    with torch.inference_mode():
        model, clip, vae = toy.load_model(), toy.load_clip(), toy.load_vae()
        text = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        TICFTLongVideo.execute(
            model, vae, text, text, KSamplerSelect.execute("euler").args[0],
            BasicScheduler.execute(model, "simple", steps, 1.0).args[0], InputImpl.VideoFromFile(str(source)),
            "video to video", runs.SIZE, runs.SIZE, 1.0, os.getpid(), f"{out.name} {seconds}",
        )  # fmt: skip
    LongOutput.add = add


if __name__ == "__main__":
    main()
