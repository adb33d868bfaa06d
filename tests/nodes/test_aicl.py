"""AICL's nodes: adapters of a folder, references to tokens, and models that perform."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
import tiny_aicl
import tiny_svd
import tiny_vae
import torch
from method_files import save_adapter
from tiny_aicl import random_adapter

from pack.methods.action_prism import FLATTENED, ActionPrism
from pack.nodes.aicl import AICLApply, AICLEncodeAction, AICLLoad
from pack.nodes.host.aicl.adapter import KEPT, HostAdapter, adapter_names
from pack.nodes.host.aicl.encode import run_prism
from pack.nodes.host.aicl.references import evenly
from pack.nodes.host.model.noise import loaded_model
from pack.training.lora.file import LoraModel, save_lora

WAN = "Wan 2.1"


def caption(seed: int = 1) -> Any:
    return tiny_aicl.conditioning_of(WAN, seed)


def encode(adapter: Any, reference: Any, conditioning: Any = None, vae: Any = None, **more: Any) -> Any:
    """AICL_ACTION of the node."""
    with torch.inference_mode():
        return AICLEncodeAction.execute(
            adapter, vae or tiny_vae.tiny_vae(), reference, conditioning or caption(), **more
        ).result[0]


@pytest.fixture
def folder(host_base):
    """The host's ``aicl`` folder with one adapter for Wan, gone afterwards."""
    place = host_base / "models" / "aicl"
    save_adapter(random_adapter(WAN), place / "tiny.safetensors")
    yield place
    for path in place.iterdir():
        path.unlink()


@pytest.fixture
def counted(monkeypatch):
    """Runs of the prism."""
    runs = []
    original = ActionPrism.forward

    def forward(self, latents, text):
        runs.append(list(latents.shape))
        return original(self, latents, text)

    monkeypatch.setattr(ActionPrism, "forward", forward)
    return runs


@pytest.mark.usefixtures("folder")
def test_from_a_file_to_a_video(host_base):
    place = host_base / "output" / "aicl"
    trained = [path.relative_to(place).as_posix() for path in place.rglob("*.safetensors")]  # by other tests
    names = [name for name in adapter_names() if name not in trained]
    shipped = ["toy_actions.safetensors", "toy_fine_actions.safetensors"]
    assert names == ["tiny.safetensors", *shipped]
    model = tiny_aicl.model_of(WAN)
    with torch.inference_mode():  # as the executor runs nodes
        adapter = AICLLoad.execute("tiny.safetensors", model).result[0]
    action = encode(adapter, tiny_vae.clip(9), reference_2=tiny_vae.clip(5, 1), conditioning_2=caption(3))
    assert action.tokens.tokens.shape == (1, (3 + 2) * 2, 12)
    begin = tiny_aicl.start(WAN)
    out = tiny_aicl.sample(AICLApply.execute(model, action, 1.0, 0.0, 1.0).result[0], WAN, begin)
    assert torch.isfinite(out).all()
    same = AICLApply.execute(model, action, 0.0, 0.0, 1.0).result[0]
    base = tiny_aicl.sample(model, WAN, begin)
    assert torch.equal(tiny_aicl.sample(same, WAN, begin), base)
    assert (out - base).abs().max() > 1e-2 * base.abs().max()


def test_adapters_that_were_trained_here_are_offered_too(host_base):
    path = save_adapter(random_adapter(WAN), host_base / "output" / "aicl" / "mine.safetensors")
    assert "mine.safetensors" in adapter_names()
    assert AICLLoad.execute("mine.safetensors").result[0].base_family == WAN
    path.unlink()


def test_a_changed_file_is_loaded_again(folder):
    before = AICLLoad.fingerprint_inputs("tiny.safetensors")
    assert "tiny" not in before  # the host writes it into pictures, and a path is private
    os.utime(folder / "tiny.safetensors", ns=(1, 1))
    assert AICLLoad.fingerprint_inputs("tiny.safetensors", model=None) != before
    assert AICLLoad.fingerprint_inputs("none.safetensors") == ""


def test_files_that_are_no_adapters_are_refused(folder):
    with pytest.raises(ValueError, match=r"no AICL adapter 'none\.safetensors'"):
        AICLLoad.execute("none.safetensors")
    save_lora(LoraModel({"a": torch.zeros(1)}), folder / "lora.safetensors")
    with pytest.raises(ValueError, match=r"lora\.safetensors is not a file of FewShot Video"):
        AICLLoad.execute("lora.safetensors")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("other", ["Wan 2.2 5B", "CogVideoX 5B", "SVD"])
def test_another_base_is_refused_and_both_are_named(other):
    model = tiny_aicl.model_of(other)
    names = rf"tiny\.safetensors was trained on Wan 2\.1 with 2 blocks of 48 channels, the model is {other} with"
    with pytest.raises(ValueError, match=names):
        AICLLoad.execute("tiny.safetensors", model)
    action = encode(AICLLoad.execute("tiny.safetensors").result[0], tiny_vae.clip(9))
    with pytest.raises(ValueError, match=names):
        AICLApply.execute(model, action, 1.0, 0.0, 1.0)


def test_another_size_of_the_same_family_is_refused():
    adapter = random_adapter(WAN)
    sizes = replace(adapter.sizes, blocks={"blocks.0": 64})
    from pack.methods.aicl import new_adapter
    from pack.training.aicl.file import AiclAdapter, tensors_of

    other = HostAdapter(AiclAdapter(sizes, tensors_of(*new_adapter(sizes)), WAN))
    with pytest.raises(ValueError, match=r"trained on Wan 2\.1 with blocks of 64 channels, the model is Wan 2\.1 with"):
        other.check_base(loaded_model(tiny_aicl.model_of(WAN)))


def test_a_model_without_a_place_for_it_is_refused():
    import tiny_unet

    with pytest.raises(ValueError, match=r"AICL works with Wan, CogVideoX, .* and SVD, the model is a BaseModel; load"):
        HostAdapter(random_adapter(WAN)).check_base(loaded_model(tiny_unet.tiny_unet()))


def test_a_reference_is_encoded_once_for_each_caption(counted, monkeypatch):
    vae, encoded = tiny_vae.tiny_vae(), []
    original = type(vae).encode
    monkeypatch.setattr(type(vae), "encode", lambda self, pixels: (encoded.append(1), original(self, pixels))[1])
    adapter = HostAdapter(random_adapter(WAN))
    first = encode(adapter, tiny_vae.clip(5))
    again = encode(adapter, tiny_vae.clip(5), reference_2=tiny_vae.clip(5, 1))
    assert (len(counted), len(encoded)) == (2, 2)
    assert torch.equal(again.tokens.tokens[:, :4], first.tokens.tokens)
    other = encode(adapter, tiny_vae.clip(5), caption(4))
    assert (len(counted), len(encoded)) == (3, 3)
    assert (other.tokens.tokens - first.tokens.tokens).abs().max() > 1e-6
    encode(adapter, tiny_vae.clip(9), max_frames=5)
    encode(adapter, tiny_vae.clip(9))
    assert counted[-2:] == [[1, 16, 2, 4, 4], [1, 16, 3, 4, 4]]


def test_only_the_latest_references_are_kept():
    adapter = HostAdapter(random_adapter(WAN))
    for number in range(KEPT + 2):
        adapter.remember(str(number), number)
    assert list(adapter.features) == [str(number) for number in range(2, KEPT + 2)]


def test_without_a_caption_of_its_own_a_reference_takes_the_first_one_s(counted):
    adapter = HostAdapter(random_adapter(WAN))
    own = encode(adapter, tiny_vae.clip(5), reference_3=tiny_vae.clip(5, 1), conditioning_3=caption(1))
    shared = encode(adapter, tiny_vae.clip(5), reference_3=tiny_vae.clip(5, 1))
    assert torch.equal(own.tokens.tokens, shared.tokens.tokens)
    assert len(counted) == 2


def test_a_video_is_taken_as_its_frames():
    from fractions import Fraction

    from comfy_api.latest import InputImpl, Types

    adapter = HostAdapter(random_adapter(WAN))
    video = InputImpl.VideoFromComponents(Types.VideoComponents(images=tiny_vae.clip(5), frame_rate=Fraction(8)))
    assert torch.equal(encode(adapter, video).tokens.tokens, encode(adapter, tiny_vae.clip(5)).tokens.tokens)


def test_references_with_an_alpha_channel_lose_it():
    adapter, clip = HostAdapter(random_adapter(WAN)), tiny_vae.clip(5)
    out = encode(adapter, torch.cat([clip, torch.ones_like(clip[..., :1])], -1))
    assert torch.equal(out.tokens.tokens, encode(adapter, clip).tokens.tokens)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_reference_in_which_nothing_can_move_is_refused(frames):
    with pytest.raises(ValueError, match=f"a reference of {'one' if frames == 1 else frames} frame"):
        encode(HostAdapter(random_adapter(WAN)), tiny_vae.clip(frames))


def test_max_frames_in_which_nothing_can_move_are_named():
    with pytest.raises(ValueError, match=r"^max_frames is 4, .* set it to 5 or more, or to 0 for all$"):
        encode(HostAdapter(random_adapter(WAN)), tiny_vae.clip(9), max_frames=4)


@pytest.mark.parametrize(("frames", "limit"), [(8, 0), (12, 8)])
def test_frames_beyond_whole_latents_are_spread_and_not_cut_off(frames, limit):
    """The host's Wan VAE drops what is left over four, so the end of the action would be lost."""
    adapter, clip = HostAdapter(random_adapter(WAN)), tiny_vae.clip(frames)
    other = clip.clone()
    other[-1] = 1 - other[-1]
    first, second = (encode(adapter, frames, max_frames=limit).tokens.tokens for frames in (clip, other))
    assert first.shape == second.shape == (1, 2 * 2, 12)
    assert (first - second).abs().max() > 1e-6


def test_an_image_vae_is_refused_where_the_base_has_a_video_vae():
    adapter = HostAdapter(replace(random_adapter("SVD"), base_family=WAN))  # it takes as many channels
    with pytest.raises(ValueError, match=r"the VAE is for images, Wan 2\.1 has a video VAE"):
        encode(adapter, tiny_vae.clip(9), vae=tiny_svd.tiny_image_vae())


def test_the_host_makes_room_for_all_places_of_an_adapter_of_one_size(monkeypatch):
    import comfy.model_management as management

    asked = []
    original = management.load_models_gpu
    monkeypatch.setattr(
        management,
        "load_models_gpu",
        lambda models, **how: (asked.append(how["memory_required"]), original(models, **how))[1],
    )
    adapter = HostAdapter(random_adapter(WAN, head=FLATTENED, size=(2, 24, 24), patch=1))
    run_prism(adapter, torch.randn(1, 16, 2, 24, 24), torch.randn(1, 5, 32))
    widest = 2 * 24 * 24 * 8 * 16 * 4  # bytes of tokens inside a feed-forward, eight times as wide as outside
    assert asked[-1] > 2 * widest


def test_a_vae_or_a_text_encoder_of_another_model_is_refused():
    adapter = HostAdapter(random_adapter(WAN))
    with pytest.raises(ValueError, match=r"latents of 48 channels, the adapter reads 16; load the VAE"):
        encode(adapter, tiny_vae.clip(5), vae=tiny_vae.tiny_wan_5b_vae())
    with pytest.raises(ValueError, match=r"caption has tokens of shape \[1, 5, 16\]"):
        encode(adapter, tiny_vae.clip(5), [[torch.randn(1, 5, 16), {}]])


def test_a_caption_of_several_parts_is_refused():
    with pytest.raises(ValueError, match="has 2 parts, one is needed"):
        encode(HostAdapter(random_adapter(WAN)), tiny_vae.clip(5), [*caption(), *caption()])
    with pytest.raises(ValueError, match="has 3 parts, one is needed"):
        encode(HostAdapter(random_adapter(WAN)), tiny_vae.clip(5), [[torch.randn(3, 5, 32), {}]])


def test_an_adapter_of_one_size_gets_references_of_that_size(counted):
    adapter = HostAdapter(random_adapter(WAN, head=FLATTENED, size=(2, 4, 6), patch=2))
    encode(adapter, tiny_vae.clip(11, width=40, height=56))
    assert counted == [[1, 16, 2, 4, 6]]


def test_frames_are_taken_evenly_from_the_first_to_the_last():
    assert evenly(10, 4) == [0, 3, 6, 9]
    assert evenly(2, 4) == [0, 0, 1, 1]


def test_an_image_vae_s_frames_are_a_clip(counted):
    adapter = HostAdapter(random_adapter("SVD"))
    embedding = tiny_svd.conditioning(1)
    action = encode(adapter, tiny_vae.clip(3), embedding, tiny_svd.tiny_image_vae())
    assert counted == [[1, 4, 3, 4, 4]]
    model = AICLApply.execute(tiny_aicl.model_of("SVD"), action, 1.0, 0.0, 1.0).result[0]
    assert torch.isfinite(tiny_aicl.sample(model, "SVD", tiny_aicl.start("SVD"), steps=1)).all()


def test_the_schemas_are_the_agreed_ones():
    wanted = {
        AICLLoad: (["name"], ["AICL_ADAPTER"]),
        AICLEncodeAction: (["adapter", "vae", "reference", "conditioning"], ["AICL_ACTION"]),
        AICLApply: (["model", "action", "strength", "start_percent", "end_percent"], ["MODEL"]),
    }
    for node, (inputs, outputs) in wanted.items():
        schema = node.GET_SCHEMA()
        assert [field.id for field in schema.inputs if not field.optional] == inputs
        assert [output.io_type for output in schema.outputs] == outputs
        assert all(field.tooltip for field in [*schema.inputs, *schema.outputs])
    more = [field.id for field in AICLEncodeAction.GET_SCHEMA().inputs if field.optional]
    assert more[:3] == ["reference_2", "reference_3", "reference_4"]


@pytest.mark.parametrize("node", [AICLLoad, AICLEncodeAction, AICLApply])
def test_help_pages_say_what_the_schemas_say(node):
    import help_pages

    schema = node.GET_SCHEMA()
    text = help_pages.page(schema.node_id)
    rows = [(row[0], row[1]) for row in help_pages.table(text, "input")]
    defaults = (getattr(field, "default", None) for field in schema.inputs)
    assert rows == [(f.id, "" if d is None else str(d)) for f, d in zip(schema.inputs, defaults, strict=True)]
    outputs = [row[0] for row in help_pages.table(text, "output")]
    assert outputs == [output.display_name or output.id for output in schema.outputs]
