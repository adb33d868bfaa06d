"""Routes, events and previews of a run in a real ComfyUI, asked as the page asks and as others must not."""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import garbage
import pytest
import workflow_checks  # noqa: F401 - it makes scripts/ importable
from patience import PATIENCE

torch = pytest.importorskip("torch")
av = pytest.importorskip("av")
Image = pytest.importorskip("PIL.Image")

from host import find_or_build  # noqa: E402
from host_setup.client import OPENER  # noqa: E402
from host_setup.pins import PACK_NAME  # noqa: E402
from host_setup.server import Server  # noqa: E402
from listening_tab import Tab  # noqa: E402

RUNS = "/fewshot_video/runs"
RESULTS, CITATION = "/fewshot_video/results", "/fewshot_video/citation"
OLD = "feedbeef" * 4  # id of a run of an earlier session
STEPS = 5000  # more than are done before it is asked to stop
NODE = "4"
EVENT = "fewshot_video.train"
# A node that shows a preview as a trainer does, with the pack as this host has loaded it.
SHOWING = """
import importlib, sys, torch, folder_paths
from pathlib import Path

class ShowAPreview:
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "show", True

    def show(self):
        routes = next(name for name in sys.modules if name.endswith(".nodes.host.page.routes"))
        previews = importlib.import_module(routes.removesuffix("page.routes") + "runs.previews")
        frames = torch.linspace(0, 1, 8)[:, None, None, None].expand(8, 32, 48, 3)
        path = previews.write_video(frames, Path(folder_paths.get_output_directory()) / "a run" / "000003.mp4", 8.0)
        previews.show(frames, path)
        return {}

NODE_CLASS_MAPPINGS = {"ShowAPreview": ShowAPreview}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A ComfyUI whose output folder holds a run of an earlier session, and things that are none."""
    base = tmp_path_factory.mktemp("comfyui")
    runs = base / "output" / "fewshot_video" / "runs"
    write_log(
        runs / "an old run",
        {"kind": "started", "step": 0, "run": OLD, "name": "an old run", "steps": 5000},
        *({"kind": "step", "step": i, "steps": 5000, "loss": 1 / i, "text": "<b>"} for i in range(1, 4001)),
        {"kind": "sample", "step": 4000, "file": "../../../secret.mp4"},
    )
    write_log(runs / "of another tool", {"loss": 1})
    write_log(base / "output" / "elsewhere", {"kind": "started", "step": 0, "run": "elsewhere"})
    (base / "secret.mp4").write_bytes(b"secret")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "showing.py").write_text(SHOWING)
    garbage.spare_host(base)
    with Server(find_or_build(), base=base, cpu=not torch.cuda.is_available()) as running:
        yield running


def write_log(folder: Path, *entries: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def prompt(run_name: str, steps: int = STEPS) -> dict[str, Any]:
    """Train the toy model for a while."""
    nodes = {
        "1": ("FewShotToyVideoModel", {}),
        "2": ("FewShotToyClips", {"kind": "image to video", "count": 2, "seed": 0}),
        "3": ("FewShotEncodeDataset", {"dataset": ["2", 0], "vae": ["1", 2], "clip": ["1", 1]}),
        NODE: (
            "TICFTTrain",
            {
                "model": ["1", 0],
                "encoded": ["3", 0],
                "task": "image to video",
                "rank": 2,
                "learning_rate": 1e-3,
                "steps": steps,
                "batch_size": 1,
                "seed": 0,
                "run_name": run_name,
            },
        ),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer, whatever the status is."""
    body = b"" if method == "POST" else None
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    try:
        with OPENER.open(request, timeout=PATIENCE) as answer:
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _parsed(error.read())


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_a_run_is_told_to_every_tab_and_ends_when_it_is_asked_to(server):
    tab = Tab(server, "another-tab", EVENT)
    begun = time.monotonic()
    queued = server.queue(prompt("watched"))
    event = tab.wait_for(lambda event: event["step"] >= 3)
    run = event["run"]
    assert (event["node"], event["state"], event["live"]) == (NODE, "running", True)
    assert event["steps"] == STEPS
    assert min(event["loss"], event["smoothed"], event["seconds_per_step"], event["seconds_left"]) > 0
    assert event["learning_rate"] == 1e-3

    # The page was reloaded: all that was missed comes by the route.
    status, table = ask(server, f"/api{RUNS}/{run}")
    assert status == 200
    assert (table["live"], table["node"], table["name"]) == (True, NODE, "watched")
    stride, *more = table["curve"]["steps"][:3]  # of the points: 1, or 2, 4 ... when the run is that far already
    assert stride & (stride - 1) == 0
    assert more == [2 * stride, 3 * stride]
    assert table["notes"][0]["text"] == f"started, {STEPS} steps"
    assert [entry["run"] for entry in ask(server, RUNS)[1]["runs"]] == [run, OLD]

    assert ask(server, f"{RUNS}/{run}/save", "POST")[0] == 200
    assert ask(server, f"{RUNS}/{run}/sample", "POST")[0] == 200
    shown = tab.wait_for(lambda event: "sample" in event["news"])["news"]["sample"]
    assert shown["subfolder"] == "fewshot_video/runs/watched/samples"
    with av.open(io.BytesIO(server.view(shown["filename"], shown["subfolder"]))) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
    assert ask(server, f"{RUNS}/{run}")[1]["samples"][0]["filename"] == shown["filename"]
    status, answer = ask(server, f"{RUNS}/{run}/stop", "POST")
    assert status == 200
    assert "keeps its LoRA" in answer["text"]
    server.wait(queued, timeout=PATIENCE)
    end = tab.wait_for(lambda event: event["state"] != "running")
    assert (end["state"], end["live"]) == ("stopped", False)
    assert 3 <= end["step"] < STEPS
    assert "the LoRA is" in end["text"]
    assert max(tab.sizes) <= 1024
    assert len(tab.times) <= 2 + 10 * (tab.times[-1] - begun)  # the first may have come late

    status, table = ask(server, f"{RUNS}/{run}")
    assert (table["state"], table["live"], table["step"]) == ("stopped", False, end["step"])
    for order in ("stop", "save", "sample"):
        assert ask(server, f"{RUNS}/{run}/{order}", "POST") == (
            409,
            {"error": "the run has ended; give its name as run_name and queue it again to go on"},
        )
    folder = server.output / "fewshot_video" / "runs" / "watched"
    assert {"metrics.jsonl", "loss.png"} <= {path.name for path in folder.iterdir()}


def test_a_run_of_an_earlier_session_is_shown_bounded_and_takes_no_orders(server):
    status, table = ask(server, f"{RUNS}/{OLD}")
    assert status == 200
    assert (table["state"], table["text"]) == ("interrupted", "interrupted at 4000 of 5000")
    assert len(table["curve"]["steps"]) <= 500
    assert table["curve"]["steps"][-1] == 4000
    assert table["samples"] == []
    assert len(json.dumps(table)) < 250_000
    assert ask(server, f"{RUNS}/{OLD}/stop", "POST")[0] == 409


@pytest.mark.parametrize(
    "run",
    [
        "0" * 32,
        "elsewhere",
        "an%20old%20run",
        "..",
        "%2e%2e",
        "..%2Felsewhere",
        "..%2F..%2Felsewhere",
        "..%5C..%5Celsewhere",
        "%2Fetc%2Fpasswd",
        "C:%5CWindows",
        "a%00b",
        "x" * 5000,
        "%F0%9F%98%80",
        "*",
        "?",
        ".",
    ],
)
def test_an_id_that_is_none_is_not_found_whatever_it_looks_like(server, run):
    for path, method in [(run, "GET"), *((f"{run}/{order}", "POST") for order in ("stop", "save", "sample"))]:
        status, answer = ask(server, f"{RUNS}/{path}", method)
        assert status in (400, 404, 405)
        assert "secret" not in json.dumps(answer)
        assert answer is None or set(answer) == {"error"}


def test_what_was_trained_is_told_by_name_and_cited(server):
    status, answer = ask(server, f"/api{RESULTS}")
    assert status == 200
    assert [group["title"] for group in answer["groups"]] == ["LoRAs", "AICL adapters", "Tune-A-Video", "Runs"]
    assert str(server.base) not in json.dumps(answer)
    status, answer = ask(server, f"{CITATION}?method=tic_ft&run={OLD}")
    assert status == 200
    assert "kim2025temporal" in answer["bibtex"]


@pytest.mark.parametrize(
    "query",
    ["", "method=odd", "folder=loras&name=..%2F..%2Fsecret.mp4", "folder=..&name=secret.mp4", "name=%00", "run=..%2Fx",
     f"folder=loras&name={'x' * 5000}"],
)  # fmt: skip
def test_what_cannot_be_cited_is_refused_in_a_sentence(server, query):
    status, answer = ask(server, f"{CITATION}?{query}")
    assert status == 404
    assert set(answer) == {"error"}
    assert "; " in answer["error"]  # what is the matter; what to do
    assert len(answer["error"]) < 400


@pytest.mark.parametrize("order", ["stop", "save", "sample"])
def test_an_order_is_no_get(server, order):
    assert ask(server, f"{RUNS}/{OLD}/{order}")[0] in (404, 405)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_what_is_read_is_not_written(server, method):
    for path in (RUNS, f"{RUNS}/{OLD}", RESULTS, CITATION):
        assert ask(server, path, method)[0] in (404, 405)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.com"}, {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_web_site_is_refused(server, headers):
    orders = [(f"{RUNS}/{OLD}/stop", "POST"), (f"/api{RUNS}/{OLD}/stop", "POST")]
    for path, method in [*orders, *((path, "GET") for path in (f"{RUNS}/{OLD}", RESULTS, f"{CITATION}?method=tic_ft"))]:
        assert ask(server, path, method, **headers)[0] == 403
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert ask(server, f"{RUNS}/{OLD}/stop", "POST", **own)[0] == 409


def test_a_help_page_comes_in_its_language_or_in_english(server):
    docs = f"/extensions/{PACK_NAME}/docs"
    titles = {code: server.request(f"{docs}/TICFTContext/{code}.md").decode().splitlines()[0] for code in ("ja", "ko")}
    assert titles == {"ja": "# TIC-FT コンテキスト", "ko": "# TIC-FT Context"}
    assert ask(server, f"{docs}/NoNode/ja.md")[0] == 404
    assert ask(server, f"{docs}/..%2F..%2Flocales/en.md")[0] == 404
    assert server.request(f"{docs}/images/TICFTContext.webp")[8:12] == b"WEBP"


def test_a_preview_appears_on_its_node_as_a_picture_and_as_a_video(server):
    with Tab(server, "fewshot", "executed") as tab:
        server.wait(server.queue({"5": {"class_type": "ShowAPreview", "inputs": {}}}), timeout=PATIENCE)
        shown = tab.wait_for(lambda message: bool(message["output"]), timeout=PATIENCE)
        picture = tab.pictures[0]
    view = {"filename": "000003.mp4", "subfolder": "a run", "type": "output"}
    assert (shown["node"], shown["display_node"]) == ("5", "5")
    assert shown["output"] == {"images": [view], "animated": [True]}
    with av.open(io.BytesIO(server.view(view["filename"], view["subfolder"]))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8
    with Image.open(io.BytesIO(picture[8:])) as image:  # behind two numbers: the kind of message and of picture
        assert image.size == (512, 85)  # 4 x 48 by 32, as large as the host shows it
        assert image.getpixel((5, 5))[0] < 10
        assert image.getpixel((505, 5))[0] > 245
