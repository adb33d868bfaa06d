"""Let the disk fail at every single call of a run that creates something, with every kind of error in turn.

    COMFYUI_PATH=... python scripts/stress/faults.py [--every 1]

tests/nodes/runs/test_disk_faults.py does the same for every second call; this counts.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support" / "training"))

from killed_training import load_pack

STEPS = 3
CREATING = ("open", "os.open", "replace", "rename", "link", "fsync", "mkdir")


def main() -> None:
    """Print, for each function of the system, how many faults there were and how they ended.

    Raises:
        SystemExit: one ended in neither a sentence nor a result, or cost bytes.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    every = parser.parse_args().every
    load_pack()
    import host_in_process

    host_in_process.start()
    import folder_paths
    import tiny_wan
    from disk_faults import ERRORS, Disk, failing
    from tic_ft_runs import train

    from pack.training.core.config import TrainConfig

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="fewshot-faults-") as base:
        model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(Path(base) / "wan.safetensors"))

        def run(folder: Path) -> dict[str, bytes]:
            folder_paths.set_output_directory(str(folder))
            lora = train(model, "run", steps=STEPS, settings=TrainConfig(save_every=1))[0]
            return {key: value.numpy().tobytes() for key, value in lora.items()}

        expected, counted, ends = run(Path(base) / "well"), Disk(Path(base) / "counted"), Counter()
        with failing(counted):
            run(Path(base) / "counted")
        for point in CREATING:
            for number in range(1, counted.calls[point] + 1, every):
                for code in ERRORS:
                    folder = Path(base) / f"{point} {number} {code}"
                    with failing(Disk(folder, point, number, code)) as disk:
                        try:
                            run(folder)
                            ends["goes on"] += disk.failed
                        except (ValueError, RuntimeError):
                            ends["a sentence"] += 1
                    if run(folder) != expected:
                        raise SystemExit(f"other bytes after a fault at {point} {number}")
            print(f"{point}: {counted.calls[point]} calls", flush=True)
    print(f"{sum(ends.values())} faults: {dict(ends)}; every run ended with the bytes of one without a fault")


if __name__ == "__main__":
    main()
