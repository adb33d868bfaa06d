"""The folder node in the host: what it offers and refuses, and where its report is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import av
import comfy.model_management as management
import folder_paths
import numpy as np
import pytest

from pack.nodes.dataset_folder import FewShotDatasetFolder


@pytest.fixture
def clips_folder(tmp_path, monkeypatch) -> Path:
    """``input/pairs`` with one captioned clip of ten frames."""
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    folder = tmp_path / "input" / "pairs"
    folder.mkdir(parents=True)
    with av.open(str(folder / "cat.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(10):
            picture = np.full((48, 64, 3), 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    (folder / "cat.txt").write_text("a cat")
    return folder


def test_the_sockets_are_those_of_the_public_interface():
    schema = FewShotDatasetFolder.GET_SCHEMA()
    assert schema.category == "FewShot Video/data"
    assert [i.id for i in schema.inputs if not i.optional] == ["folder", "width", "height", "frames", "fps"]
    assert [i.id for i in schema.inputs if i.optional] == [
        "condition_frames", "buckets", "multiple", "background", "hdr", "leading_condition",
    ]  # fmt: skip
    assert [o.get_io_type() for o in schema.outputs] == ["FEWSHOT_DATASET", "STRING"]
    assert all(socket.tooltip for socket in [*schema.inputs, *schema.outputs])


def test_a_folder_below_input_is_offered_and_read(clips_folder):
    schema = FewShotDatasetFolder.define_schema()
    assert schema.inputs[0].options == [clips_folder.name]
    assert FewShotDatasetFolder.validate_inputs("pairs") is True
    dataset, report = FewShotDatasetFolder.execute("pairs", 32, 32, 5, 10.0).result
    assert dataset[0].target.frames().shape == (5, 32, 32, 3)
    assert dataset[0].caption == "a cat"
    assert report.startswith("1 clip, 32x32, 5 frames at 10 fps")


def test_the_report_is_drawn_on_the_node(clips_folder, monkeypatch):
    import server
    from comfy_execution.utils import CurrentNodeContext

    class Server:
        shown: ClassVar[list[tuple[str, str]]] = []

        def send_progress_text(self, text, node_id):
            self.shown.append((node_id, text))

    monkeypatch.setattr(server.PromptServer, "instance", Server(), raising=False)
    assert FewShotDatasetFolder.GET_SCHEMA().is_output_node  # it can be run alone, before anything is encoded
    made = FewShotDatasetFolder.execute(clips_folder.name, 32, 32, 5, 10.0)
    assert Server.shown == []  # nobody is running it
    with CurrentNodeContext("prompt", "7:3"):
        FewShotDatasetFolder.execute(clips_folder.name, 32, 32, 5, 10.0)
    _, report = made.result
    assert made.ui["text"] == (report,)
    (row,) = json.loads(made.ui["fewshot_dataset"][0])["rows"]
    assert (row["name"], row["condition"]) == ("cat", None)
    picture = row["target"]
    assert picture["type"] == "temp"
    assert (Path(folder_paths.get_temp_directory()) / picture["subfolder"] / picture["filename"]).is_file()
    assert Server.shown == [("7:3", report.splitlines()[0])]
    assert "no clip has a condition" in report
    with CurrentNodeContext("prompt", "7:3"), pytest.raises(ValueError, match="nothing in the folder") as refused:
        FewShotDatasetFolder.execute(clips_folder.name, 32, 32, 4000, 10.0)
    assert Server.shown[-1] == ("7:3", str(refused.value))  # the last report does not stay


def test_buckets_are_offered_and_one_size_is_the_default(clips_folder):
    inputs = {i.id: i for i in FewShotDatasetFolder.GET_SCHEMA().inputs}
    assert inputs["buckets"].options == ["one size", "by aspect", "by aspect and length"]
    assert (inputs["buckets"].default, inputs["multiple"].default) == ("one size", 16)
    asked = (clips_folder.name, 64, 64, 12, 10.0)
    with pytest.raises(ValueError, match=r"cat\.mp4 is too short"):
        FewShotDatasetFolder.execute(*asked)
    dataset, report = FewShotDatasetFolder.execute(*asked, buckets="by aspect and length").result
    assert dataset[0].target.frames().shape == (8, 48, 64, 3)
    assert report.startswith("1 clip, 64x48, 8 frames at 10 fps")
    dataset, _ = FewShotDatasetFolder.execute(*asked, buckets="by aspect and length", multiple=32).result
    assert dataset[0].target.frames().shape == (8, 64, 64, 3)


def test_reading_can_be_cancelled(clips_folder):
    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        FewShotDatasetFolder.execute(clips_folder.name, 32, 32, 5, 10.0)


@pytest.mark.parametrize("name", ["..", "../input", "pairs/../..", "/", "", "none", "pairs/cat.mp4", "a\0b"])
def test_a_name_that_leads_out_of_input_is_refused_before_running(clips_folder, name):
    assert clips_folder.is_dir()
    assert "below ComfyUI's input folder" in FewShotDatasetFolder.validate_inputs(name)
    with pytest.raises(ValueError, match=r"below ComfyUI's input folder|null character"):
        FewShotDatasetFolder.execute(name, 32, 32, 5, 10.0)


def test_a_link_that_leads_out_of_input_is_refused(clips_folder, tmp_path):
    (tmp_path / "secret").mkdir()
    (clips_folder.parent / "link").symlink_to(tmp_path / "secret", target_is_directory=True)
    assert FewShotDatasetFolder.validate_inputs("link") is not True


def test_an_edited_folder_runs_again(clips_folder):
    before = FewShotDatasetFolder.fingerprint_inputs("pairs", width=32)
    assert FewShotDatasetFolder.fingerprint_inputs("pairs", width=64) == before
    (clips_folder / "cat.txt").write_text("a young dog")  # another length: the time may be the same
    assert FewShotDatasetFolder.fingerprint_inputs("pairs", width=32) != before


def test_a_linked_folder_has_no_fingerprint_before_it_runs():
    assert FewShotDatasetFolder.fingerprint_inputs(folder=None, width=32) == ""
    assert FewShotDatasetFolder.fingerprint_inputs(width=32) == ""
    assert "linked folder" in FewShotDatasetFolder.define_schema().inputs[0].tooltip
