"""Tensors made small for cache and memory come back number for number."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from pack.training.storage.cache import DiskCache, MemoryCache
from pack.training.storage.compact import Compact


def encoded(dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """As an encoder that computes in a type gives them: latents, and a caption of 7 tokens padded to 64."""
    generator = torch.Generator().manual_seed(0)
    caption = torch.zeros(64, 16)
    caption[:7] = torch.randn(7, 16, generator=generator)
    caption[7:] = -0.0  # a mask times a negative number
    latents = torch.randn(4, 3, 8, 8, generator=generator)
    whole = {"x0": latents.to(dtype).float(), "cross_attn": caption.to(dtype).float()}
    return {**whole, "pooled": torch.full((5,), 0.1), "mask": torch.ones(3).long(), "scale": torch.tensor(2.0)}


def assert_same(found, wanted):
    assert found is not None
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) and found[name].dtype == wanted[name].dtype for name in wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_16_bits_hold_is_kept_in_16_bits_without_the_padding(dtype):
    small = Compact.of(encoded(dtype))
    assert small.tensors["x0"].dtype == small.tensors["cross_attn"].dtype == dtype
    assert small.tensors["cross_attn"].shape == (7, 16)
    assert_same(small.whole(), encoded(dtype))
    assert_same(small.whole("x0"), {"x0": encoded(dtype)["x0"]})
    assert small.shapes == {name: tensor.shape for name, tensor in encoded(dtype).items()}
    assert small.bytes < 0.4 * Compact(encoded(dtype), {}).bytes


def test_what_needs_32_bits_keeps_them():
    small = Compact.of(encoded(torch.float32))
    assert small.tensors["x0"].dtype == torch.float32
    assert small.form == {"cross_attn": ("float32", 64)}
    assert_same(small.whole(), encoded(torch.float32))


def test_zeros_between_tokens_and_of_an_empty_caption_are_no_loss():
    text = torch.zeros(6, 4)
    text[3] = 1.0
    for whole, rows in ((text, 4), (torch.zeros(6, 4), 1), (torch.ones(6, 4), 6)):
        small = Compact.of({"cross_attn": whole})
        assert len(small.tensors["cross_attn"]) == rows
        assert torch.equal(small.whole()["cross_attn"], whole)


def test_caches_give_back_the_whole_and_know_its_shapes(tmp_path):
    for cache in (DiskCache(tmp_path), MemoryCache()):
        cache.put("key", encoded())
        found = cache.read("key")
        assert found is not None
        assert_same(found.whole(), encoded())
        assert cache.shapes("key") == {name: tensor.shape for name, tensor in encoded().items()}
        assert cache.shapes("other") is None
        cache.discard("key")
        assert cache.read("key") is None
        assert cache.shapes("key") is None


def test_a_file_of_an_entry_is_small_and_an_older_version_of_the_pack_takes_it_for_none(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("key", encoded())
    cache.put("plain", {"x0": torch.full((4,), 1 / 3)})
    with safe_open(cache.path("key"), framework="pt") as file:
        assert "checksum" not in file.metadata()  # which it looks for
        assert file.get_slice("cross_attn").get_shape() == [7, 16]
    with safe_open(cache.path("plain"), framework="pt") as file:
        assert "checksum" in file.metadata()  # as it always was


def test_a_changed_form_is_noticed(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("key", encoded())
    data = cache.path("key").read_bytes()
    assert data.count(b"64]") == 1
    cache.path("key").write_bytes(data.replace(b"64]", b"63]"))
    assert cache.read("key") is None
    for form in (b'{"x0": 1}'.ljust(24), b"no JSON at all".ljust(24)):
        start = data.index(b'{\\"x0\\"')
        cache.path("key").write_bytes(data[:start] + form.replace(b'"', b"'") + data[start + 24 :])
        assert cache.read("key") is None
        assert cache.shapes("key") is None


def test_shapes_read_the_head_of_a_file_alone(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("key", encoded())
    data = bytearray(cache.path("key").read_bytes())
    data[-1] ^= 1
    cache.path("key").write_bytes(bytes(data))
    assert cache.shapes("key") is not None
    assert cache.read("key") is None
    cache.path("key").write_bytes(bytes(data[:-1]))  # cut off, which the head tells
    assert cache.shapes("key") is None
