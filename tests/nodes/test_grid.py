"""Checkpoint Grid: each video is what the host's own nodes make of that checkpoint, and the best one is found."""

from __future__ import annotations

import json
from typing import Any

import comfy.model_management
import pytest
import tic_ft_runs
import tiny_sampling as tiny
import torch
from tiny_vae import PIXELS, clip, tiny_ltxv_vae, tiny_vae

import nodes as host_nodes
from pack.nodes.grid import FewShotGrid, strengths_of
from pack.nodes.host.page.grid_cells import Cell, best_of, cells_of
from pack.nodes.host.page.kept_cells import KeptCells
from pack.nodes.host.page.labelled_grid import BORDER, GAP, INK, LINE, MARK, PAPER, labelled_grid
from pack.nodes.tic_ft import TICFTContext, TICFTCrop
from pack.training.core.config import TrainConfig
from pack.training.runs.checkpoints import Checkpoint

pytestmark = pytest.mark.usefixtures("own_output", "trained")
NAMES = ("grid", "table", "scores", "lora", "strength")
STEPS = 2


@pytest.fixture(scope="module")
def trained() -> tuple:
    """A run with checkpoints after 2, 4 and 6 steps."""
    settings = TrainConfig(save_every=2, keep=5)
    return tic_ft_runs.train(tiny.tiny_model(), "ball", settings=settings, steps=6)


def context() -> tuple:
    """MODEL and LATENT of TIC-FT Context as the executor runs it."""
    with torch.inference_mode():
        return TICFTContext.execute(
            tiny.tiny_model(), tiny_vae(), "image to video", PIXELS, PIXELS, 8, condition=clip(1, 0)
        ).result[:2]


def grid(**values: Any) -> dict[str, Any]:
    """The node as the executor runs it; its outputs by name."""
    model, latent = context()
    arguments = {
        "model": model, "vae": tiny_vae(), "positive": tiny.POSITIVE, "negative": tiny.NEGATIVE, "latent": latent,
        "run_name": "ball", "checkpoints": 0, "strengths": "0.5, 1", "seed": 1, "steps": STEPS, "cfg": 1.0,
        "sampler_name": "euler", "scheduler": "simple", "metric": "frame_consistency", "with_base": True,
        "cell_width": 32,
    }  # fmt: skip
    with torch.inference_mode():
        return dict(zip(NAMES, FewShotGrid.execute(**{**arguments, **values}).result, strict=True))


def by_the_host(lora: Any, strength: float, seed: int = 1) -> torch.Tensor:
    """The same video by the host's own loader, sampler and decoder."""
    import comfy.sd

    model, latent = context()
    with torch.inference_mode():
        patched = model if lora is None else comfy.sd.load_lora_for_models(model, None, lora, strength, 0)[0]
        sampler = ("euler", "simple", tiny.POSITIVE, tiny.NEGATIVE, latent)
        (sampled,) = host_nodes.common_ksampler(patched, seed, STEPS, 1.0, *sampler)
        (images,) = host_nodes.VAEDecode().decode(tiny_vae(), sampled)
        return TICFTCrop.execute(images, sampled, "target").args[0]


def place(result: torch.Tensor, row: int, column: int, columns: int = 2) -> torch.Tensor:
    """The video at a place of the grid; what is left of the columns is the labels."""
    left = result.shape[2] - columns * (32 + GAP)
    x, y = left - left % 2 + column * (32 + GAP), LINE + row * (32 + LINE + GAP)
    return result[:, y : y + 32, x : x + 32]


def test_each_video_is_the_one_that_the_host_makes_of_that_checkpoint(trained):
    made = grid()
    rows = json.loads(made["scores"])
    assert [(row["steps"], row["strength"]) for row in rows] == [
        (0, 0.0), (2, 0.5), (2, 1.0), (4, 0.5), (4, 1.0), (6, 0.5), (6, 1.0),
    ]  # fmt: skip
    base, half, last = by_the_host(None, 0.0), by_the_host(trained[0], 0.5), by_the_host(trained[0], 1.0)
    assert not torch.equal(base, last)
    for expected, (row, column) in ((base, (0, 0)), (half, (3, 0)), (last, (3, 1))):
        assert torch.allclose(place(made["grid"], row, column), expected.clamp(0, 1), atol=1e-6)
    assert len({json.dumps(row["scores"]) for row in rows}) == len(rows)


def test_the_best_one_is_marked_and_handed_on(trained):
    made = grid()
    rows = json.loads(made["scores"])
    (best,) = [row for row in rows if row["best"]]
    assert best["scores"]["frame_consistency"] == max(
        row["scores"]["frame_consistency"] for row in rows if row["steps"]
    )
    assert made["strength"] == best["strength"]
    assert made["table"].count("**") == 2 * 6
    assert f"**{best['steps']}**" in made["table"]
    assert len(made["lora"]) == len(trained[0])
    again = grid(run_name=trained[3])  # a train node's `path`
    assert again["table"] == made["table"]
    assert grid(run_name="")["table"] == made["table"]  # the newest run


def test_videos_are_kept_no_larger_than_they_are_drawn(monkeypatch):
    kept: list[Cell] = []
    monkeypatch.setattr("pack.nodes.host.page.grid._drawn", lambda cells, *_: kept.extend(cells) or torch.zeros(1))
    wide = grid(cell_width=48)  # the clips have 32 pixels
    assert {tuple(cell.frames.shape[1:]) for cell in kept} == {(48, 48, 3)}
    assert wide["scores"] == grid()["scores"]  # which are of the clips as they are


def test_what_is_gone_is_not_what_is_not_connected():
    kept, model = KeptCells(), torch.zeros(1)
    kept.of(model, torch.ones(1))["a cell"] = 1  # a reference that nobody keeps
    assert kept.of(model, None) == {}
    kept.of(model, None)["a cell"] = 1
    assert kept.of(model, None) == {"a cell": 1}


def test_metrics_of_which_less_is_better_and_of_equals_the_first():
    def cell(steps: int, value: float) -> Cell:
        return Cell(1, Checkpoint(steps, dict) if steps else None, 1.0, scores={"flicker": value, "ssim": value})

    cells = [cell(0, 0.1), cell(1, 0.4), cell(2, 0.2), cell(3, 0.2)]
    assert best_of(cells, "flicker") is cells[2]
    assert best_of(cells, "ssim") is cells[1]


def test_prompts_have_rows_of_their_own():
    made = grid(checkpoints=1, strengths="1", with_base=False, positive_2=tiny.conditioning(5))
    rows = json.loads(made["scores"])
    assert [(row["prompt"], row["steps"]) for row in rows] == [(1, 6), (2, 6)]
    assert rows[0]["scores"] != rows[1]["scores"]


def test_the_hosts_cancel_ends_it(monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr("pack.nodes.host.page.grid.show_text", lambda text: shown.append(text) or (
        comfy.model_management.interrupt_current_processing() if len(shown) == 2 else None
    ))  # fmt: skip
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        grid()
    assert shown == ["video 1 of 7: prompt 1 without a LoRA", "video 2 of 7: prompt 1, 2 steps at strength 0.5"]


def test_a_grid_that_was_cancelled_goes_on_behind_its_finished_videos(monkeypatch):
    shown: list[str] = []
    ends = [3]  # the video that is cancelled

    def show(text: str) -> None:
        shown.append(text)
        if len(shown) in ends:
            comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr("pack.nodes.host.page.grid.show_text", show)
    model, latent = context()
    same = {"model": model, "latent": latent, "vae": tiny_vae()}  # as the host keeps what has not changed

    def cancelled() -> None:
        shown.clear()
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            grid(**same)
        assert len(shown) == 3

    cancelled()
    shown.clear()
    ends.clear()
    made = grid(**same)
    assert [text.partition(":")[0] for text in shown] == [f"video {i} of 7" for i in (3, 4, 5, 6, 7)]
    shown.clear()
    again = grid(**same)  # nothing is kept of one that is whole
    assert len(shown) == 7
    assert made["scores"] == again["scores"]
    assert torch.equal(made["grid"], again["grid"])

    for other in ({"seed": 2}, {"latent": dict(latent)}, {"model": model.clone()}):
        ends[:] = [3]
        cancelled()
        shown.clear()
        ends.clear()
        grid(**{**same, **other})
        assert len(shown) == 7, other


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"run_name": "nothing"}, "there is no run 'nothing'; runs are ball"),
        ({"run_name": "../ball"}, "cannot name a folder"),
        ({"run_name": "/tmp/other.safetensors"}, "other.safetensors lies in no folder of LoRAs"),
        ({"strengths": " , "}, "strengths is empty"),
        ({"strengths": "1, nan"}, "strengths has 'nan'; give numbers from -10 to 10"),
        ({"strengths": ",".join(str(i / 10) for i in range(40))}, "would have 121 videos, 64 at most"),
        ({"metric": "ssim"}, "compares with a reference and none is connected"),
        (
            {"latent": {"samples": torch.ones(1, 4, 8, 8)}},
            r"the grid got a latent of .*\[1, 4, 1, 8, 8\], .*; connect",
        ),
        ({"latent": {"samples": torch.ones(0, 16, 3, 4, 4)}}, r"shape \[0, 16, 3, 4, 4\], .*; connect an empty latent"),
    ],
)
def test_what_cannot_be_is_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        grid(**values)


def test_a_vae_of_another_model_is_refused_before_anything_is_sampled():
    with pytest.raises(ValueError, match=r"the VAE is for videos of 128 channels, the WAN21.* of 16; load the VAE"):
        grid(vae=tiny_ltxv_vae())


def test_strengths_and_cells():
    assert strengths_of("1, .5; 1.0") == [1.0, 0.5]
    checkpoint = Checkpoint(3, dict)
    assert [cell.row for cell in cells_of([checkpoint], [1.0, 2.0], 2, True)] == [
        (1, 0), (1, 3), (1, 3), (2, 0), (2, 3), (2, 3),
    ]  # fmt: skip


def test_videos_of_other_sizes_and_lengths_stand_in_one_grid():
    videos = {(0, 0): torch.ones(3, 20, 40, 3), (1, 1): torch.zeros(2, 40, 40, 4)}
    made = labelled_grid(videos, ["a", "b"], ["x", "y"], dict.fromkeys(videos, "1"), (0, 0), 40)
    assert made.shape[0] == 3
    assert made.shape[1] % 2 == made.shape[2] % 2 == 0
    assert made.shape[1] >= 2 * (20 + LINE + GAP) + LINE
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


def test_the_best_is_framed_and_every_row_and_column_has_its_words():
    places = [(row, column) for row in range(3) for column in range(2)]
    best, side = (1, 1), 96
    words = dict.fromkeys(places, "0.5")
    videos = {place: torch.zeros(2, side, side, 3) for place in places}
    picture = (labelled_grid(videos, ["a", "bb", "c"], ["x", "y"], words, best, side)[0] * 255).round()
    framed = (picture == torch.tensor(MARK)).all(-1)
    inked = (picture > (torch.tensor(PAPER) + torch.tensor(INK)) / 2).all(-1)  # thin lines are never quite as light
    left = picture.shape[1] - 2 * (side + GAP)
    left -= left % 2
    corners = {place: (left + place[1] * (side + GAP), LINE + place[0] * (side + LINE + GAP)) for place in places}
    for place, (x, y) in corners.items():
        ring = framed[y - BORDER : y + side + BORDER, x - BORDER : x + side + BORDER].clone()
        ring[BORDER:-BORDER, BORDER:-BORDER] = False
        assert int(ring.sum()) == ((side + 2 * BORDER) ** 2 - side**2 if place == best else 0), place
        below = slice(y + side + BORDER, y + side + BORDER + LINE), slice(x, x + side)
        assert bool(framed[below].any()) == (place == best)
        assert bool(inked[below].any()) == (place != best)
        assert inked[y : y + side, :left].any(), "a word beside the row"
        assert inked[:LINE, x : x + side].any(), "a word above the column"
