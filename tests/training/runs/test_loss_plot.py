"""The picture of a run's losses."""

from __future__ import annotations

import io

import pytest
from monitored_runs import Clock, FakeRun, config, record

from pack.training.runs.history import History
from pack.training.runs.loss_plot import EVERY, HELD_OUT, PLOT_FILE, RAW, SMOOTHED, LossPlot, draw_losses, scale_top
from pack.training.runs.reporter import Reporter

Image = pytest.importorskip("PIL.Image")


def drawn(data: bytes):
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def colours_of(image) -> dict:
    return {colour: count for count, colour in image.getcolors(1 << 20)}


def history_with(*entries: dict) -> History:
    history = History()
    for entry in entries:
        history.add(entry)
    return history


def step(number: int, loss: float | None) -> dict:
    return {"kind": "step", "step": number, "steps": 10, "loss": loss, "smoothed": loss}


def test_losses_and_validation_are_drawn_in_their_colours():
    validation = [{"kind": "validation", "step": number, "losses": {"mean": 0.3}} for number in (2, 8)]
    image = drawn(draw_losses(history_with(*(step(i, 1 / i) for i in range(1, 9)), *validation).table()))
    assert image.size == (960, 540)
    found = colours_of(image)
    assert min(found[RAW], found[SMOOTHED], found[HELD_OUT[0]]) > 50


def test_a_falling_loss_falls_in_the_picture():
    image = drawn(draw_losses(history_with(step(1, 1.0), step(10, 0.1)).table()))
    rows = {x: [y for y in range(60, 480) if image.getpixel((x, y)) == SMOOTHED] for x in (200, 900)}
    assert max(rows[200]) < min(rows[900])


@pytest.mark.parametrize(
    "history",
    [
        History(),
        history_with(step(1, 0.5)),
        history_with(step(1, None)),
        history_with(step(1, 0.0), step(2, 0.0)),
        history_with({"kind": "started", "step": 0, "name": "läuft 走る", "steps": 5}),
    ],
)
def test_a_run_with_next_to_nothing_in_it_is_drawn_too(history):
    assert drawn(draw_losses(history.table())).size == (960, 540)


@pytest.mark.parametrize(
    ("losses", "top"),
    [([], 1.0), ([0.0], 1.0), ([0.5] * 99 + [1e6], 0.75), ([0.9], 1.0), ([0.96], 1.5), ([3e-4], 5e-4), ([9.9], 15.0)],
)
def test_the_scale_is_round_and_leaves_out_what_would_press_the_rest_flat(losses, top):
    assert scale_top(losses) == pytest.approx(top)


def test_the_picture_is_renewed_now_and_then_and_at_the_end(tmp_path):
    clock, history = Clock(), History()
    reporter = Reporter([history, LossPlot(history, clock)])
    path = tmp_path / PLOT_FILE
    reporter.started(FakeRun(tmp_path), config(), 0)
    reporter.step(1, record())
    assert not path.exists()
    clock.now += EVERY
    reporter.step(2, record())
    first = path.read_bytes()
    reporter.step(3, record())
    assert path.read_bytes() == first
    reporter.ended("finished", "done")
    assert path.read_bytes() != first


def test_a_deleted_folder_does_not_come_back_for_a_picture(tmp_path):
    history = History()
    reporter = Reporter([history, LossPlot(history)])
    folder = tmp_path / "run"
    reporter.started(FakeRun(folder), config(), 0)
    reporter.ended("finished", "done")
    assert not folder.exists()
