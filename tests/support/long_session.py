"""The keys of ``long_inputs`` as another session has them.

    python tests/support/long_session.py

writes them as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def keys_of_a_session(hash_seed: int) -> dict[str, str]:
    """Those of a ComfyUI of its own; strings have other hashes in it."""
    command, settings = [sys.executable, __file__], os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(command, env=settings, check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent / "training"))
    from killed_training import load_pack

    load_pack()
    import host_in_process

    host_in_process.start()
    import long_inputs

    sys.stdout.write(f"\n{json.dumps(long_inputs.keys())}\n")
