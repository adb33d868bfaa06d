"""Encoding through the cache: encoders run only for what changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample
from pack.training.data.encoding import EncodedDataset
from pack.training.storage import lazy
from pack.training.storage.cache import HEADS, DiskCache


class TailRecipe:
    """Encodes condition and target apart and joins them; enough to see what is asked of the encoders."""

    def __init__(self, key="tail"):
        self.key = key

    def clips(self, sample):
        return {"condition": sample.conditions[0].frames(), "target": sample.target.frames()}

    def assemble(self, latents):
        return {"x0": torch.cat([latents["condition"], latents["target"]], dim=1)}

    def captions(self, sample):
        return {"caption": sample.caption, "style": "grey"}


class Encoders:
    """Stand-ins that count their calls."""

    def __init__(self):
        self.videos, self.texts, self.released = [], [], 0

    def video(self, pixels):
        self.videos.append(tuple(pixels.shape))
        return pixels.movedim(-1, 0)[:, ::2, ::8, ::8]  # T H W C -> C t h w, a view as encoders may give

    def text(self, text):
        self.texts.append(text)
        return {
            "cross_attn": torch.full((3, 8), float(len(text)), dtype=torch.float16),
            "mask": torch.ones(3).long(),
        }

    def release(self):
        self.released += 1


def sample(level, caption="a cat"):
    target = TensorClip(torch.full((8, 16, 16, 3), level))
    return Sample(target, caption, (TensorClip(torch.full((2, 16, 16, 3), level / 2)),), name=f"{level}")


def dataset(*samples):
    return Dataset(samples or (sample(0.2), sample(0.4), sample(0.6, "a dog")), 16, 16, 16, "")


def handle(encoders, data=None, cache_dir=None, key="v1", **kwargs):
    return EncodedDataset(data or dataset(), encoders.video, encoders.text, key, cache_dir, encoders.release, **kwargs)


def test_latents_and_conditioning_come_as_the_recipe_names_them():
    encoders = Encoders()
    encoded = handle(encoders).encode(TailRecipe())
    assert [s.name for s in encoded.samples] == ["0.2", "0.4", "0.6"]
    first = encoded.samples[0]
    assert first.latents["x0"].shape == (3, 5, 2, 2)
    torch.testing.assert_close(first.latents["x0"][0, :, 0, 0], torch.tensor([0.1, *[0.2] * 4]), atol=0.01, rtol=0)
    assert first.conditioning["caption"]["cross_attn"].dtype == torch.float32
    assert first.conditioning["caption"]["cross_attn"][0, 0] == len("a cat")
    assert first.conditioning["style"]["mask"].dtype == torch.int64
    assert encoded.unconditional["cross_attn"].abs().max() == 0


@pytest.mark.parametrize("alone", [False, True])
def test_a_recipe_gets_the_kind_of_vae_it_needs_or_a_sentence(alone):
    encoders, recipe = Encoders(), TailRecipe()
    recipe.frame_by_frame = alone
    assert handle(encoders, frame_by_frame=alone).encode(recipe).samples
    kinds = ["a video VAE", "an image VAE"]
    said = f"was given {kinds[not alone]}, {kinds[alone]} is needed; load the one that belongs to the model"
    for ask in ("key", "encode"):
        with pytest.raises(ValueError, match=said):
            getattr(handle(encoders, frame_by_frame=not alone), ask)(recipe)


def test_identical_captions_are_encoded_once():
    encoders = Encoders()
    handle(encoders).encode(TailRecipe())
    assert sorted(encoders.texts) == ["", "a cat", "a dog", "grey"]
    assert len(encoders.videos) == 6


@pytest.mark.parametrize("on_disk", [True, False])
def test_encoders_are_not_called_again_when_nothing_changed(tmp_path, on_disk):
    encoders = Encoders()
    cache_dir = tmp_path if on_disk else None
    encoded = handle(encoders, cache_dir=cache_dir)
    first = encoded.encode(TailRecipe())
    calls = (len(encoders.videos), len(encoders.texts), encoders.released)
    assert calls == (6, 4, 1)
    again = handle(encoders, cache_dir=cache_dir) if on_disk else encoded
    second = again.encode(TailRecipe())
    assert (len(encoders.videos), len(encoders.texts), encoders.released) == calls
    assert all(
        torch.equal(a.latents["x0"], b.latents["x0"]) for a, b in zip(first.samples, second.samples, strict=True)
    )


def test_a_changed_clip_is_encoded_again_alone(tmp_path):
    handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
    encoders = Encoders()
    handle(encoders, dataset(sample(0.2), sample(0.5), sample(0.6, "a dog")), tmp_path).encode(TailRecipe())
    assert len(encoders.videos) == 2
    assert encoders.texts == []


def test_a_changed_caption_runs_only_the_text_encoder(tmp_path):
    handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
    encoders = Encoders()
    handle(encoders, dataset(sample(0.2), sample(0.4, "a fox"), sample(0.6, "a dog")), tmp_path).encode(TailRecipe())
    assert (encoders.videos, encoders.texts, encoders.released) == ([], ["a fox"], 1)


def test_another_recipe_or_encoder_is_encoded_apart(tmp_path):
    handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
    encoders = Encoders()
    handle(encoders, cache_dir=tmp_path).encode(TailRecipe("other"))
    assert (len(encoders.videos), len(encoders.texts)) == (6, 0)
    handle(encoders, cache_dir=tmp_path, key="v2").encode(TailRecipe())
    assert (len(encoders.videos), len(encoders.texts)) == (12, 4)


def test_another_text_encoder_leaves_the_latents(tmp_path):
    handle(Encoders(), cache_dir=tmp_path, text_key="t1").encode(TailRecipe())
    encoders = Encoders()
    handle(encoders, cache_dir=tmp_path, text_key="t2").encode(TailRecipe())
    assert (len(encoders.videos), len(encoders.texts)) == (0, 4)


def test_a_damaged_entry_is_rebuilt_alone(tmp_path):
    handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
    largest = max(tmp_path.glob("*.safetensors"), key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-3])
    encoders = Encoders()
    handle(encoders, cache_dir=tmp_path).encode(TailRecipe())
    assert (len(encoders.videos), len(encoders.texts), encoders.released) == (2, 0, 1)


def test_progress_counts_every_entry_and_cancelling_keeps_whole_entries(tmp_path):
    class CancelledError(Exception):
        pass

    def cancel(done, total):
        assert total == 7
        if done == 6:
            raise CancelledError

    encoders = Encoders()
    with pytest.raises(CancelledError):
        handle(encoders, cache_dir=tmp_path).encode(TailRecipe(), cancel)
    assert encoders.released == 1
    assert len(list(tmp_path.glob("*.safetensors"))) == 6
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".safetensors"} == {HEADS}
    seen = []
    handle(encoders, cache_dir=tmp_path).encode(TailRecipe(), lambda done, total: seen.append((done, total)))
    assert seen == [(i, 7) for i in range(1, 8)]
    assert len(encoders.videos) == 6  # two clips each of three samples, none twice


def test_results_can_be_trained_on_whatever_mode_the_caller_is_in(tmp_path):
    with torch.inference_mode():
        data = dataset()
        encoded = handle(Encoders(), data, tmp_path).encode(TailRecipe())
        from_disk = handle(Encoders(), data, tmp_path).encode(TailRecipe())
    for found in (encoded, from_disk):
        weight = torch.ones(3, 1, 1, 1, requires_grad=True)
        (found.samples[0].latents["x0"] * weight).sum().backward()
        assert weight.grad is not None


def test_numbers_that_are_not_finite_are_refused_and_not_kept(tmp_path):
    encoders = Encoders()
    encoders.video = lambda _pixels: torch.full((3, 2, 2, 2), torch.nan)
    with pytest.raises(RuntimeError, match=r"non-finite latents for 0\.2; run it in fp32"):
        handle(encoders, cache_dir=tmp_path).encode(TailRecipe())
    assert len(list(tmp_path.glob("*.safetensors"))) == 4  # the captions


def test_a_sample_that_does_not_fit_the_recipe_is_named(tmp_path):
    encoders = Encoders()
    recipe = TailRecipe()
    bare = replace(sample(0.4), conditions=(), name="pair 7")

    def clips(found):
        if not found.conditions:
            raise ValueError("no condition is connected; add one")
        return TailRecipe.clips(recipe, found)

    recipe.clips = clips
    with pytest.raises(ValueError, match=r"^pair 7: no condition is connected; add one$"):
        handle(encoders, dataset(sample(0.2), bare), tmp_path).encode(recipe)
    assert encoders.released == 1


def test_the_key_follows_data_recipe_and_encoders():
    encoders = Encoders()
    data = dataset()
    keys = [
        handle(encoders).key(TailRecipe()),
        handle(encoders).key(TailRecipe("other")),
        handle(encoders, key="v2").key(TailRecipe()),
        handle(encoders, text_key="t2").key(TailRecipe()),
        handle(encoders, replace(data, samples=data.samples[:2])).key(TailRecipe()),
        handle(encoders, dataset(sample(0.2, "x"), *data.samples[1:])).key(TailRecipe()),
    ]
    assert len(set(keys)) == len(keys)
    assert handle(encoders).key(TailRecipe()) == keys[0]
    assert (encoders.videos, encoders.texts) == ([], [])


def test_a_recipe_with_a_key_for_each_sample_is_asked_for_it(tmp_path):
    class ByLength(TailRecipe):
        def key_of(self, sample):
            return f"{self.key.split()[0]} {len(sample.target.frames())}"

    data, encoders = dataset(), Encoders()
    handle(encoders, data, tmp_path).encode(ByLength("tail of one bucket"))
    again = Encoders()
    both = handle(again, data, tmp_path)
    both.encode(ByLength("tail of two buckets"))  # another key, the same for each sample
    assert again.videos == []
    assert both.key(ByLength("tail of two buckets")) != both.key(ByLength("head of two buckets"))


def test_a_set_larger_than_the_room_for_it_is_read_clip_by_clip(tmp_path, monkeypatch):
    data = dataset(*(sample(i / 20) for i in range(1, 9)))
    whole = handle(Encoders(), data, tmp_path).encode(TailRecipe())
    wanted = [one.latents["x0"] for one in whole.samples]
    monkeypatch.setattr(lazy, "ROOM", 500)  # bytes, about four entries
    reads, read = [], DiskCache.read
    monkeypatch.setattr(DiskCache, "read", lambda cache, key: (reads.append(key), read(cache, key))[1])
    encoders = Encoders()
    found = handle(encoders, data, tmp_path).encode(TailRecipe())
    assert not encoders.videos
    assert len(reads) == 5  # of 11 entries, the others were found by their heads
    assert found.shapes("x0") == [latents.shape for latents in wanted]
    for i in (7, 0, 3, 7, 5, 1, 2, 4, 6):
        assert torch.equal(found.samples[i].latents["x0"], wanted[i])
        assert found._entries.kept.used <= 500
    assert len(reads) > 8


def test_an_entry_that_is_lost_on_the_way_is_said_and_made_again_by_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "ROOM", 0)
    found = handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
    path = DiskCache(tmp_path).path(found._latents[1])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert len(handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe()).samples) == 3  # its head is whole
    with pytest.raises(RuntimeError, match="damaged or removed while the run went on; start the run again, which enc"):
        _ = found.samples[1]
    assert found.samples[2].name == "0.6"
    encoders = Encoders()
    again = handle(encoders, cache_dir=tmp_path).encode(TailRecipe())
    assert len(encoders.videos) == 2  # condition and target of the one
    assert again.samples[1].name == "0.4"


def test_what_sums_up_a_set_is_made_once_and_anew_for_another_set(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"mean": torch.tensor([float(len(made))])}

    for _ in range(2):
        found = handle(Encoders(), cache_dir=tmp_path).encode(TailRecipe())
        assert float(found.summary("mean", make)["mean"]) == 1.0
    other = handle(Encoders(), dataset(sample(0.2)), tmp_path).encode(TailRecipe())
    assert float(other.summary("mean", make)["mean"]) == 2.0
