"""The command that trains a run on more cards, as the page gives it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pack.nodes.host.page import more_cards
from pack.training.runs.portable import FILE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the words are those of a POSIX shell")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder of a run, which is found by the id `run`."""
    path = tmp_path / "it's a run"
    path.mkdir()
    monkeypatch.setattr(more_cards, "run_folder", lambda run: path if run == "run" else None)
    return path


def test_the_command_names_python_run_and_folders_of_this_comfyui(folder):
    import comfy.cli_args

    (folder / FILE).write_text("{}")
    found = more_cards.more_cards("run")
    assert found["title"] == folder.name
    place, command = found["command"].splitlines()
    assert shlex.split(place) == ["cd", str(more_cards.PACK)]
    words = shlex.split(command)
    assert words[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert words[words.index("train.py") + 1] == folder.name
    assert words[words.index("--base-directory") + 1] == comfy.cli_args.args.base_directory
    assert words[words.index("--comfyui") + 1] == os.environ["COMFYUI_PATH"]  # the checkout does not lie in it
    assert (more_cards.PACK / "train.py").is_file()
    assert found["shell"] == ""


def test_folders_and_files_given_from_where_comfyui_was_started_are_absolute(folder, monkeypatch):
    from comfy.cli_args import args

    (folder / FILE).write_text("{}")
    monkeypatch.setattr(args, "output_directory", "made here")
    monkeypatch.setattr(args, "extra_model_paths_config", [["a.yaml", "b.yaml"], ["c.yaml"]])
    words = shlex.split(more_cards.more_cards("run")["command"].splitlines()[1])
    assert words[words.index("--output-directory") + 1] == str(Path.cwd() / "made here")
    given = [words[i + 1] for i, word in enumerate(words) if word == "--extra-model-paths-config"]
    assert given == [str(Path.cwd() / f"{name}.yaml") for name in "abc"]


def test_on_windows_the_command_is_in_the_form_of_its_shells(folder, monkeypatch):
    from comfy.cli_args import args

    (folder / FILE).write_text("{}")
    monkeypatch.setattr(more_cards, "sys", SimpleNamespace(platform="win32", executable="C:\\my\\python.exe"))
    found = more_cards.more_cards("run")
    place, command = found["command"].splitlines()
    assert place == 'pushd "C:\\my"'
    assert command.startswith(".\\python.exe -m accelerate.commands.launch --multi_gpu --num_processes ")
    assert f'"{folder.name}"' in command
    assert found["shell"] == ""
    monkeypatch.setattr(args, "output_directory", "cost$")
    assert more_cards.more_cards("run")["shell"] == "PowerShell"


@pytest.mark.usefixtures("folder")
def test_a_run_that_does_not_say_how_it_is_trained_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"does not say how it is trained.*queue its Train node once more"):
        more_cards.more_cards("run")
    with pytest.raises(ValueError, match="there is no such run; reload the page"):
        more_cards.more_cards("other")
