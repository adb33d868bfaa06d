"""The demo, end to end in a real ComfyUI, as small as it gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from patience import PATIENCE


def test_the_quick_demo_trains_samples_and_judges_every_arm(root, tmp_path):
    command = [sys.executable, str(root / "scripts" / "demo.py"), "--quick", "--out", str(tmp_path / "demo")]
    host = {"COMFYUI_PATH": os.environ["COMFYUI_PATH"], "COMFYUI_PYTHON": sys.executable}
    done = subprocess.run(
        command, env={**os.environ, **host}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert results["arms"]["ground_truth"]["summary"]["all_right"] == 1.0
    assert [len(arm["clips"]) for arm in results["arms"].values()] == [1] * 5
    assert len(list((tmp_path / "demo" / "loras").rglob("*.safetensors"))) == 2
    assert (tmp_path / "demo" / "contact_sheet.png").stat().st_size > 1000
    assert "| LoRA, with buffers" in done.stdout
    assert "scripts/host.py --serve" in done.stdout
