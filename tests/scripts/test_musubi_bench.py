"""The bench beside musubi-tuner says in one sentence what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
sys.path += [str(BENCH), str(BENCH / "musubi")]

import musubi_network  # noqa: E402


def test_a_folder_that_is_no_checkout_is_named_with_what_it_lacks(tmp_path):
    with pytest.raises(SystemExit, match=r"has no src/musubi_tuner/wan/modules/model\.py; clone kohya-ss/musubi-tuner"):
        musubi_network.start(tmp_path)


def test_a_package_that_the_checkout_needs_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = tmp_path / "src" / "musubi_tuner" / "wan" / "modules"
    modules.mkdir(parents=True)
    (tmp_path / "src" / "musubi_tuner" / "__init__.py").touch()
    (modules / "__init__.py").write_text("raise RuntimeError('the text encoder is not to be imported')\n")
    (modules / "model.py").write_text("import surely_missing\n")
    told = "musubi-tuner cannot be imported here: No module named 'surely_missing'; install what is missing"
    try:
        with pytest.raises(SystemExit, match=told):
            musubi_network.start(tmp_path)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "musubi_tuner"]:
            del sys.modules[name]
