"""Starting and stopping a ComfyUI with this pack in place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from host_setup import process as host_process
from host_setup.client import explain_failure
from host_setup.pins import PACK_NAME, Host, HostError, read_version
from host_setup.process import place_pack, stop, unplace_pack
from host_setup.server import Server
from patience import PATIENCE

ROOT = Path(__file__).parents[2]
COMFYUI = os.environ.get("COMFYUI_PATH", "")  # read before the fixtures hide it
PYTHON = os.environ.get("COMFYUI_PYTHON", sys.executable)


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A small checkout in place of this one."""
    folder = tmp_path / "checkout"
    (folder / "toy" / "runs").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(host_process, "ROOT", folder)
    return folder


@pytest.fixture
def make_fake_host(tmp_path, make_comfyui):
    """A function that writes a ComfyUI whose main.py is a few lines of Python."""

    def make(code: str) -> Host:
        path = make_comfyui(tmp_path / "ComfyUI")
        (path / "main.py").write_text(code)
        return Host(path, Path(sys.executable), "0.30.0")

    return make


def test_the_pack_is_linked_and_taken_out_again_without_a_trace(tmp_path, checkout):
    link = tmp_path / "custom_nodes"
    place_pack(link)
    place_pack(link)
    assert (link / "__init__.py").exists()
    unplace_pack(link)
    assert not link.exists()
    assert (checkout / "__init__.py").exists()


def test_where_links_are_impossible_the_pack_is_copied_anew_without_the_training_runs(tmp_path, checkout, monkeypatch):
    def refuse(*_args, **_keywords):
        raise OSError("a required privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    copy = tmp_path / "custom_nodes"
    place_pack(copy)
    (checkout / "new.py").touch()
    place_pack(copy)
    assert sorted(path.name for path in copy.rglob("*")) == ["__init__.py", "new.py", "toy"]
    unplace_pack(copy)
    assert (checkout / "new.py").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows processes cannot refuse to end")
def test_a_process_that_does_not_end_when_asked_is_killed():
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{ignore}; print(1, flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        stop(process, patience=0.2)
    assert process.returncode == -signal.SIGKILL


def test_a_host_that_dies_is_reported_with_its_last_lines_and_leaves_nothing(make_fake_host):
    server = Server(make_fake_host("raise SystemExit('no such model')"), cpu=True)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(HostError, match=r"(?s)has ended \(exit code 1\).*no such model"):
        server.__enter__()
    assert not server.base.exists()
    assert server.process is None
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_failure_names_the_node_and_what_it_said():
    details = {
        "node_type": "TICFTContext",
        "node_id": "4",
        "exception_message": "too few frames",
        "traceback": [],
    }
    entry = {"status": {"status_str": "error", "messages": [["execution_error", details]]}}
    assert explain_failure(entry).startswith("TICFTContext (node 4) failed: too few frames")


@pytest.mark.host
def test_a_real_host_runs_a_prompt_with_the_pack_in_place_and_stops():
    path = Path(COMFYUI)
    with Server(Host(path, Path(PYTHON), read_version(path) or "0"), cpu=True) as server:
        base, process = server.base, server.process
        assert (base / "custom_nodes" / PACK_NAME / "__init__.py").exists()
        assert "TICFTContext" in server.object_info()
        image = {"width": 8, "height": 8, "batch_size": 1, "color": 255}
        prompt = {
            "1": {"class_type": "EmptyImage", "inputs": image},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "blue"}},
        }
        saved = server.wait(server.queue(prompt), timeout=PATIENCE)["outputs"]["2"]["images"][0]
        assert server.view(saved["filename"]) == (server.output / saved["filename"]).read_bytes()
        with pytest.raises(HostError, match="refused with status 400"):
            server.queue({"1": {"class_type": "NoSuchNode", "inputs": {}}})
    assert process is not None
    assert process.returncode is not None
    assert not base.exists()
    assert (ROOT / "__init__.py").exists()
