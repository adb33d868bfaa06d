"""The losses of one-shot motion, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pack.methods import motion


def clip(*values: float) -> torch.Tensor:
    """One clip of one channel and one pixel, ``[1, 1, T, 1, 1]``."""
    return torch.tensor(values).view(1, 1, -1, 1, 1)


def test_debiased_frames_are_sqrt_2_times_themselves_less_the_anchor():
    found = motion.debiased(clip(1.0, 2.0, 4.0), torch.tensor([1]))
    root = math.sqrt(2)
    torch.testing.assert_close(found.flatten(), torch.tensor([root - 2, 2 * root - 2, 4 * root - 2]))


def test_beta_is_the_strength_of_the_anchor_and_0_changes_nothing():
    x = clip(1.0, 2.0, 4.0)
    assert torch.equal(motion.debiased(x, torch.tensor([2]), 0.0), x)
    found = motion.debiased(x, torch.tensor([0]), 3.0)
    torch.testing.assert_close(found.flatten(), math.sqrt(10) * torch.tensor([1.0, 2.0, 4.0]) - 3.0)


def test_each_clip_of_a_batch_has_its_own_anchor():
    x = torch.cat([clip(1.0, 2.0), clip(5.0, 7.0)])
    found = motion.debiased(x, torch.tensor([0, 1]))
    root = math.sqrt(2)
    torch.testing.assert_close(found.view(2, 2), torch.tensor([[root - 1, 2 * root - 1], [5 * root - 7, 7 * root - 7]]))


def test_the_debiased_variance_of_independent_frames_is_as_said():
    x = torch.randn(2, 4, 6, 40, 40, generator=torch.Generator().manual_seed(0))
    others = motion.debiased(x, torch.tensor([0, 0]), 2.0)[:, :, 1:]
    assert float(others.var()) == pytest.approx(1 + 2 * 2.0**2, rel=0.02)


def test_the_debiased_loss_is_the_square_distance_of_the_debiased_frames():
    generator = torch.Generator().manual_seed(1)
    prediction, target = (torch.randn(3, 2, 4, 2, 2, generator=generator) for _ in range(2))
    anchor = torch.tensor([0, 3, 1])
    both = motion.debiased(prediction, anchor), motion.debiased(target, anchor)
    wanted = (both[0] - both[1]).square().mean((1, 2, 3, 4))
    torch.testing.assert_close(motion.debiased_loss(prediction, target, anchor), wanted)


def test_an_error_that_all_frames_share_costs_less_without_its_look():
    error = torch.ones(1, 1, 3, 1, 1)
    found = float(motion.debiased_loss(error, torch.zeros_like(error), torch.tensor([0])))
    assert found == pytest.approx((math.sqrt(2) - 1) ** 2)  # 1 in the plain loss


def test_the_direction_loss_of_known_changes():
    target = clip(0.0, 1.0, 2.0)
    assert motion.direction_loss(clip(5.0, 7.0, 9.0), target).tolist() == pytest.approx([0.0])  # twice as far
    assert motion.direction_loss(clip(0.0, -1.0, -2.0), target).tolist() == pytest.approx([2.0])  # back
    assert motion.direction_loss(clip(0.0, 1.0, 0.0), target).tolist() == pytest.approx([1.0])  # once so, once so


def test_the_direction_is_that_of_all_channels_and_pixels_together():
    target, prediction = torch.zeros(1, 2, 2, 1, 1), torch.zeros(1, 2, 2, 1, 1)
    target[0, 0, 1], prediction[0, :, 1] = 3.0, 2.0  # along one axis, and between two
    assert float(motion.direction_loss(prediction, target)) == pytest.approx(1 - math.sqrt(0.5))


def test_what_all_frames_share_does_not_change_the_direction_loss():
    generator = torch.Generator().manual_seed(2)
    prediction, target = (torch.randn(2, 3, 4, 2, 2, generator=generator) for _ in range(2))
    look = torch.randn(2, 3, 1, 2, 2, generator=generator)
    torch.testing.assert_close(
        motion.direction_loss(prediction + look, target), motion.direction_loss(prediction, target)
    )


def test_equal_frames_give_a_direction_loss_with_a_finite_gradient():
    still = torch.ones(1, 1, 3, 2, 2, requires_grad=True)
    motion.direction_loss(still, clip(0.0, 1.0, 2.0).expand(1, 1, 3, 2, 2)).sum().backward()
    assert still.grad is not None
    assert still.grad.isfinite().all()


@pytest.mark.parametrize(
    ("frames", "most", "stride", "count"), [(21, 6, 4, 6), (13, 5, 3, 5), (12, 5, 3, 4), (5, 9, 1, 5)]
)
def test_a_whole_step_takes_at_most_so_many_frames(frames, most, stride, count):
    assert motion.sparse_stride(frames, most) == stride
    assert motion.sparse_count(frames, stride) == count == len(range(0, frames, stride)) <= most


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: motion.debiased(x, torch.tensor([0]), -1.0), "beta is -1.0"),
        (lambda x: motion.debiased(x, torch.tensor([0]), math.nan), "beta is nan"),
        (lambda x: motion.debiased(x, torch.tensor([2])), "give one of 0 to 1 a clip"),
        (lambda x: motion.debiased(x, torch.tensor([-1])), "give one of 0 to 1 a clip"),
        (lambda x: motion.debiased(x, torch.tensor([0, 1])), "for 1 clips of 2 frames"),
        (lambda x: motion.direction_loss(x[:, :, :1], x[:, :, :1]), "one latent frame and no motion"),
        (lambda _: motion.sparse_stride(9, 1), "1 of 9 latent frames"),
        (lambda _: motion.sparse_stride(1, 4), "4 of 1 latent frames"),
    ],
)
def test_what_shows_no_motion_is_refused_in_one_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call(clip(1.0, 2.0))
