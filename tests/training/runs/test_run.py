"""A run between its steps: saved, validated, shown, stopped, and what becomes of steps without a number."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from regression import Regression, new_run, new_trainer

from pack.training.core.config import TrainConfig
from pack.training.core.loop import Cancelled, NonFiniteError
from pack.training.core.state import TrainState, runaway
from pack.training.runs.control import SAMPLE, SAVE, STOP, registered, request_save, request_stop


def weights(run) -> torch.Tensor:
    return run.trainer.parameters[0].detach().clone()


def test_states_are_saved_every_so_often_and_the_newest_are_kept(tmp_path):
    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=10, save_every=2, keep=3)))
    run.go()
    assert [step for step, _ in run.folder.states()] == [10, 8, 6]
    assert run.folder.record["step"] == 10


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(tmp_path):
    config = TrainConfig(steps=9, save_every=2, ema_decay=0.9)
    whole, _ = new_run(tmp_path / "whole", new_trainer(config))
    whole.go()

    def die(step: int, _record) -> None:
        if step == 7:
            raise SystemExit

    first, _ = new_run(tmp_path / "run", new_trainer(config), progress=die)
    with pytest.raises(SystemExit):
        first.go()
    second, _ = new_run(tmp_path / "run", new_trainer(config))
    second.restore(second.folder.load())
    assert second.state.step == 6
    second.go()
    assert torch.equal(weights(second), weights(whole))
    assert second.state == whole.state


def test_stop_ends_the_run_after_the_step_under_way(tmp_path):
    def order(step: int, _record) -> None:
        if step == 3:
            run.control.give(STOP)

    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=9)), progress=order)
    run.go()
    assert run.state.step == 3


def test_an_order_reaches_a_run_by_its_id_and_no_other():
    with registered("a" * 32) as control:
        assert request_stop("a" * 32)
        assert not request_stop("b" * 32)
        assert control.take(STOP)
        assert not control.take(STOP)
        with pytest.raises(ValueError, match="goes on already"), registered("a" * 32):
            pass
    assert not request_save("a" * 32)


def test_an_order_to_save_or_show_is_carried_out_once(tmp_path):
    shown = []
    run, listener = new_run(
        tmp_path / "run", new_trainer(TrainConfig(steps=4)), sample=lambda step: shown.append(step) or tmp_path / "a"
    )
    run.control.give(SAVE)
    run.control.give(SAMPLE)
    run.go()
    assert [step for step, _ in run.folder.states()] == [1]
    assert shown == listener.kinds("sampled") == [1]


def test_previews_come_every_so_often_and_one_that_fails_is_left_out(tmp_path):
    def sample(step: int):
        if step == 2:
            raise torch.cuda.OutOfMemoryError("no memory")
        return tmp_path / f"{step}.webm"

    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=6, sample_every=2)), sample=sample)
    run.go()
    assert listener.kinds("sampled") == [4, 6]
    assert ("note", "preview", "the preview of step 2 is left out (no memory)") in listener.told


def test_a_cancel_within_a_preview_is_no_failed_preview(tmp_path):
    class Interrupt(BaseException):
        pass

    def sample(_step: int):
        raise Interrupt

    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=6, sample_every=2)), sample=sample)
    with pytest.raises(Interrupt):
        run.go()


def test_validation_is_before_every_so_often_and_after_and_the_best_is_kept(tmp_path):
    losses, best = iter([5.0, 2.0, 3.0, 4.0]), []
    run, listener = new_run(
        tmp_path / "run", new_trainer(TrainConfig(steps=5, validate_every=2, save_every=2, keep=1)),
        validate=lambda: {"mean": next(losses)}, keep_best=lambda: best.append(run.state.step),
    )  # fmt: skip
    run.go()
    run.save()
    assert listener.kinds("validated") == [0, 2, 4, 5]
    assert best == [2]
    assert [step for step, _ in run.folder.states()] == [5, 2]  # the newest, and that of the best validation
    assert run.folder.record["best"] == 2


def test_the_average_is_what_is_validated(tmp_path):
    seen = []
    trainer = new_trainer(TrainConfig(steps=4, ema_decay=0.9, learning_rate=0.1))
    run, _ = new_run(
        tmp_path / "run", trainer, validate=lambda: seen.append(trainer.parameters[0].detach().clone()) or {"mean": 1.0}
    )
    run.go()
    assert not torch.equal(seen[-1], weights(run))


def test_a_step_without_a_number_is_skipped_counted_and_leaves_the_weights(tmp_path):
    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=6), Regression(bad_calls=[3])))
    run.go()
    assert run.state.skipped == [3]
    assert len(run.state.losses) == len(run.state.sigmas) == 5
    assert listener.kinds("note") == ["skipped"]
    assert weights(run).isfinite().all()
    records = [entry[2] for entry in listener.told if entry[0] == "step"]
    assert [record.skipped for record in records] == [False, False, True, False, False, False]


def test_five_in_a_row_go_back_to_the_saved_state_with_half_the_rate(tmp_path):
    config = TrainConfig(steps=12, save_every=4, learning_rate=0.1)
    run, listener = new_run(tmp_path / "run", new_trainer(config, Regression(bad_calls=range(7, 12))))
    run.go()
    rates = [entry[2].learning_rate for entry in listener.told if entry[0] == "step"]
    assert run.state.rewinds == 1
    assert rates[:11] == [pytest.approx(0.1)] * 11
    assert rates[11:] == [pytest.approx(0.05)] * 8  # steps 5 to 12
    assert ("note", "rewind", "no number in steps 7 to 11; back to step 4 with half the learning rate") in listener.told
    assert run.state.skipped == [7, 8, 9, 10, 11]
    assert TrainState.from_dict(run.folder.load()["train"]).rate_scale == 0.5


@pytest.mark.parametrize(("rate", "resumed"), [(0.1, 0.05), (0.02, 0.02)])
def test_a_new_learning_rate_is_not_halved_for_what_the_old_one_did(tmp_path, rate, resumed):
    config = TrainConfig(steps=12, save_every=4, learning_rate=0.1)
    run, _ = new_run(tmp_path / "run", new_trainer(config, Regression(bad_calls=range(7, 12))))
    run.go()
    later, listener = new_run(tmp_path / "run", new_trainer(replace(config, steps=16, learning_rate=rate)))
    later.restore(later.folder.load())
    assert later.state.rewinds == (1 if rate == 0.1 else 0)
    later.go()
    rates = [entry[2].learning_rate for entry in listener.told if entry[0] == "step"]
    assert rates == [pytest.approx(resumed)] * 4
    later.save()
    again, _ = new_run(tmp_path / "run", new_trainer(replace(config, steps=16, learning_rate=rate)))
    again.restore(again.folder.load())
    assert again.state.rate_scale == resumed / rate


def test_after_two_returns_the_run_stops_and_says_why(tmp_path):
    config = TrainConfig(steps=40, save_every=1, keep=4)
    run, listener = new_run(tmp_path / "run", new_trainer(config, Regression(bad_calls=range(7, 999))))
    said = r"loss of steps 5 to 9 .*learning rate of 0.0001 being too high.* the 4 steps before are kept"
    with pytest.raises(NonFiniteError, match=said):
        run.go()
    told = [entry[2] for entry in listener.told if entry[:2] == ("note", "rewind")]
    # The state of the last good step is passed over: the steps after it would fail in the same way.
    assert [text.partition("; ")[2][:14] for text in told] == ["back to step 5", "back to step 4"]
    assert weights(run).isfinite().all()


def test_a_state_that_cannot_be_saved_for_any_reason_costs_nothing_else(tmp_path, monkeypatch):
    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=4, save_every=2), Regression()))

    def fail(*_args, **_more):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(run.folder, "save", fail)
    run.go()
    assert run.state.step == 4
    assert any(entry[:2] == ("note", "save") and "the device is gone" in entry[2] for entry in listener.told)


def test_without_a_saved_state_the_run_stops_at_once(tmp_path):
    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=40), Regression(bad_calls=range(1, 999))))
    with pytest.raises(NonFiniteError, match=r"loss of steps 1 to 5 .*broken latents"):
        run.go()


def test_the_clip_that_spoils_every_step_it_is_in_is_named(tmp_path):
    names = [f"clip {letter}" for letter in "abcde"]
    trainer = new_trainer(TrainConfig(steps=20), Regression(bad_clip=3))
    run, listener = new_run(tmp_path / "run", trainer, clip_names=names)
    run.go()
    assert len(run.state.skipped) == 4
    (text,) = [entry[2] for entry in listener.told if entry[:2] == ("note", "clip")]
    assert text == "the clip clip d is in every step without a number; check it or leave it out"


def test_a_full_disk_costs_the_state_and_not_the_run(tmp_path, monkeypatch):
    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=4, save_every=2)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    run.go()
    assert run.state.step == 4
    assert listener.kinds("note") == ["save", "save"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_deleted_in_the_middle_is_made_again(tmp_path):
    import shutil

    def delete(step: int, _record) -> None:
        if step == 2:
            shutil.rmtree(tmp_path / "run")

    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=4, save_every=1)), progress=delete)
    run.go()
    assert [step for step, _ in run.folder.states()] == [4, 3]
    assert (tmp_path / "run" / "run.json").exists()


def test_a_state_torn_by_a_stop_within_an_update_is_not_saved(tmp_path):
    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=4, save_every=1)))
    run.trainer.optimizer.register_step_post_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert run.save() is None
    assert listener.kinds("note") == ["save"]
    assert run.folder.states() == []


def test_a_cancel_leaves_the_state_of_the_last_step(tmp_path):
    def cancel(step: int, _record) -> None:
        if step == 3:
            raise Cancelled

    run, _ = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=9)), progress=cancel)
    with pytest.raises(Cancelled):
        run.go()
    assert run.save() == run.folder.state_path(3)


def test_a_loss_that_runs_away_is_told_once(tmp_path):
    class Worse(Regression):
        def loss(self, predict, batch):
            found = super().loss(predict, batch)
            return type(found)(found.per_sample * (50.0 if self.calls > 60 else 1.0), found.sigma)

    run, listener = new_run(tmp_path / "run", new_trainer(TrainConfig(steps=90, batch_size=8), Worse()))
    run.go()
    assert listener.kinds("note") == ["divergence"]


def test_a_steady_loss_is_not_called_runaway():
    assert runaway([1.0] * 200) is None
    assert runaway([1.0] * 100 + [100.0]) is None  # one step says little
    assert runaway([1.0] * 20 + [100.0] * 10) is None  # too few to judge by
    assert runaway([1.0] * 100 + [4.0] * 10) == pytest.approx(4.0)
