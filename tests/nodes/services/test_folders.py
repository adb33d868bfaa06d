"""The host's lists of models with our folders in them."""

from __future__ import annotations

import shutil

import folder_paths
import pytest

from pack.nodes.host.services.folders import REGISTER, model_files, model_names


@pytest.mark.parametrize("category", REGISTER)
def test_a_list_survives_that_somebody_empties_the_output_folder(tmp_path, monkeypatch, category):
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    trained = tmp_path / "output" / category / "run" / "learned.safetensors"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(b"weights")
    before = model_names(category)
    assert "run/learned.safetensors" in [name.replace("\\", "/") for name in before]
    assert trained in model_files(category)
    shutil.rmtree(tmp_path / "output")
    try:
        assert model_names(category) == [name for name in before if "learned" not in name]
        assert folder_paths.get_filename_list(category) is not None  # core's own nodes list again, too
    finally:
        folder_paths.folder_names_and_paths[category][0].remove(str(tmp_path / "output" / category))
        folder_paths.filename_list_cache.pop(category, None)
