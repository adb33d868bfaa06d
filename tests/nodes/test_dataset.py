"""Data nodes in the host: clips of the graph, and encoding with the host's own VAE and CLIP."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import comfy.model_management as management
import comfy.sd
import folder_paths
import pytest
import tiny_svd
import torch
from comfy.ldm.wan.vae import WanVAE
from comfy_api.latest import InputImpl, Types

from pack.nodes.dataset import (
    FewShotDatasetClip,
    FewShotDatasetItem,
    FewShotEncodeDataset,
)
from pack.nodes.host.model.encoders import clip_key, text_encoder, vae_key, video_encoder
from pack.nodes.host.services import folders
from pack.toy import text
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample


class PlainRecipe:
    """The target as it is and its caption."""

    key = "plain"

    def clips(self, sample):
        return {"target": sample.target.frames()}

    def assemble(self, latents):
        return {"x0": latents["target"]}

    def captions(self, sample):
        return {"caption": sample.caption}


def make_vae(seed: int = 0):
    """The host's Wan VAE, four channels wide, with seeded weights, built in inference mode as in a prompt."""
    network = WanVAE(dim=4, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
                     temperal_downsample=[False, True, True], dropout=0.0)  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.1 if value.ndim > 1 else torch.ones(value.shape)
        for name, value in network.state_dict().items()
    }
    with torch.inference_mode():
        return comfy.sd.VAE(sd=state)


def make_clip(seed: int = text.SEED):
    with torch.inference_mode():
        return comfy.sd.load_text_encoder_state_dicts(
            [text.clip_state_dict(seed)],
            clip_type=comfy.sd.CLIPType.WAN,
            model_options={"model_config": dict(text.CONFIG)},
        )


@pytest.fixture(scope="module")
def vae():
    return make_vae()


@pytest.fixture(scope="module")
def clip():
    return make_clip()


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


def images(frames: int = 5, width: int = 32, height: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


def add(target, caption: str = "a cat", **inputs) -> Dataset:
    with torch.inference_mode():
        (dataset,) = FewShotDatasetClip.execute(target, caption, **inputs).result
    return dataset


def encode(dataset, vae, clip, cache=True):
    with torch.inference_mode():
        return FewShotEncodeDataset.execute(dataset, vae, clip, cache).result


@pytest.mark.parametrize(
    ("node", "required", "optional", "outputs"),
    [
        (
            FewShotDatasetClip,
            "target caption",
            "condition condition_2 condition_3 condition_4 reference reference_caption dataset fps background "
            "resample_to start frames width height",
            "FEWSHOT_DATASET",
        ),
        (FewShotDatasetItem, "dataset index", "", "IMAGE IMAGE IMAGE STRING INT IMAGE IMAGE IMAGE"),
        (FewShotEncodeDataset, "dataset vae clip", "cache cache_limit clip_vision", "FEWSHOT_ENCODED STRING"),
    ],
)
def test_the_sockets_are_those_of_the_public_interface(node, required, optional, outputs):
    schema = node.GET_SCHEMA()
    assert schema.node_id == node.__name__
    assert schema.category == "FewShot Video/data"
    assert [i.id for i in schema.inputs if not i.optional] == required.split()
    assert [i.id for i in schema.inputs if i.optional] == optional.split()
    assert [o.get_io_type() for o in schema.outputs] == outputs.split()
    assert all(socket.tooltip for socket in [*schema.inputs, *schema.outputs])


def bucketed(*sizes: tuple[int, int]) -> Dataset:
    """A clip of each size, in a dataset near 64x64 pixels."""
    samples = tuple(Sample(TensorClip(images(5, *size)), "a cat", size=size) for size in sizes)
    return Dataset(samples, 64, 64, 10, "")


def test_an_item_without_a_condition_is_black_in_its_buckets_size():
    target, condition, reference, *_ = FewShotDatasetItem.execute(bucketed((64, 64), (64, 48)), 1).result
    assert condition.shape[1:] == reference.shape[1:] == target.shape[1:] == (48, 64, 3)


def test_the_encoders_report_counts_the_buckets(vae, clip):
    assert encode(bucketed((64, 48)), vae, clip)[1].startswith("1 clip, 64x48 at 10 fps")
    assert encode(bucketed((64, 48), (64, 64)), vae, clip)[1].startswith("2 clips, 2 buckets near 64x64 at 10 fps")


def test_clips_of_the_graph_are_collected():
    dataset = add(images(), condition=images(1), condition_3=images(2, width=64), reference=images(3), fps=12.0)
    longer = add(images(7, width=48, height=64), "a dog", dataset=dataset)
    assert (len(dataset), len(longer), longer.fps) == (1, 2, 12.0)
    assert [len(c.frames()) for c in dataset[0].conditions] == [1, 2]
    assert longer[1].target.frames().shape == (7, 32, 32, 3)


def test_a_video_brings_its_own_rate():
    components = Types.VideoComponents(images=images(8), frame_rate=Fraction(8))
    video = InputImpl.VideoFromComponents(components)
    dataset = add(video, fps=16.0)
    assert dataset.fps == 8
    assert len(add(video, dataset=add(images(), fps=16.0))[1].target.frames()) == 16


def test_an_item_comes_back_as_images():
    dataset = add(images(), condition=images(2, seed=1), condition_2=images(1, seed=2))
    target, condition, reference, caption, size, *others = FewShotDatasetItem.execute(dataset, 0).result
    torch.testing.assert_close(target, images(), atol=0.5 / 255 + 1e-6, rtol=0)
    assert condition.shape == (2, 32, 32, 3)
    assert torch.equal(reference, torch.zeros(1, 32, 32, 3))
    torch.testing.assert_close(others[0], images(1, seed=2), atol=0.5 / 255 + 1e-6, rtol=0)
    assert [len(clip) for clip in others] == [1, 1, 1]
    assert not torch.cat(others[1:]).any()
    assert (caption, size) == ("a cat", 1)
    with pytest.raises(ValueError, match="sample 1 was asked for, the dataset has 1"):
        FewShotDatasetItem.execute(dataset, 1)


def test_nothing_is_encoded_until_a_trainer_asks(vae, clip, monkeypatch):
    def never(*_args):
        raise AssertionError

    monkeypatch.setattr(vae, "encode", never)
    handle, report = encode(add(images()), vae, clip)
    assert not folders.cache_folder().exists()
    assert report.startswith("1 clip, 32x32 at 16 fps")
    assert "output/fewshot_video/cache" in report
    with pytest.raises(AssertionError):
        handle.encode(PlainRecipe())


def test_the_hosts_encoders_give_the_same_as_its_own_nodes(vae, clip):
    dataset = add(images())
    handle, _ = encode(dataset, vae, clip)
    with torch.inference_mode():
        encoded = handle.encode(PlainRecipe())
        latents = vae.encode(dataset[0].target.frames())[0]
        ((cross_attn, extras),) = clip.encode_from_tokens_scheduled(clip.tokenize("a cat"))
    (sample,) = encoded.samples
    assert sample.latents["x0"].shape == (16, 2, 4, 4)
    assert torch.equal(sample.latents["x0"], latents)
    assert torch.equal(sample.conditioning["caption"]["cross_attn"], cross_attn[0])
    assert sample.conditioning["caption"].keys() == {
        "cross_attn",
        *(k for k, v in extras.items() if v is not None),
    }
    assert not torch.equal(encoded.unconditional["cross_attn"], cross_attn[0])


def test_results_are_kept_below_output_and_used_again(output, clip, monkeypatch):
    dataset = add(images())
    encode(dataset, make_vae(), clip)[0].encode(PlainRecipe())
    assert len(list((output / "fewshot_video" / "cache").glob("*.safetensors"))) == 3
    again = make_vae()  # another object with the same weights, as after a restart
    monkeypatch.setattr(again, "encode", lambda *_args: pytest.fail("encoded again"))
    encode(dataset, again, clip)[0].encode(PlainRecipe())


def test_without_the_cache_nothing_is_written(output, vae, clip):
    handle, report = encode(add(images()), vae, clip, cache=False)
    handle.encode(PlainRecipe())
    assert list(output.iterdir()) == []
    assert "memory" in report


def test_what_was_encoded_can_be_trained_on(vae, clip):
    with torch.inference_mode():
        sample = encode(add(images()), vae, clip)[0].encode(PlainRecipe()).samples[0]
    weight = torch.ones(16, 1, 1, 1, requires_grad=True)
    (sample.latents["x0"] * weight).sum().backward()
    assert not any(value.is_inference() for value in sample.conditioning["caption"].values())


def test_the_encoders_give_plain_tensors_inside_a_prompt(vae, clip):
    with torch.inference_mode():
        found = [video_encoder(vae)(images()), *text_encoder(clip)("a cat").values()]
    assert not any(tensor.is_inference() for tensor in found)


def test_both_encoders_are_freed_and_nothing_else(vae, clip):
    other = make_vae(seed=1)
    with torch.inference_mode():
        management.load_models_gpu([other.patcher])
        handle, _ = encode(add(images()), vae, clip)
        handle.encode(PlainRecipe())
    loaded = [entry.model for entry in management.current_loaded_models]
    assert any(model is other.patcher for model in loaded)
    assert not any(model.is_clone(patcher) for model in loaded for patcher in (vae.patcher, clip.patcher))
    with torch.inference_mode():  # they still work afterwards
        assert vae.encode(images()).isfinite().all()


def test_the_keys_follow_weights_options_and_loras(vae, clip):
    assert vae_key(vae) == vae_key(make_vae())
    assert vae_key(vae) != vae_key(make_vae(seed=1))
    assert clip_key(clip) == clip_key(make_clip())
    assert clip_key(clip) != clip_key(make_clip(seed=1))
    skipped = clip.clone()
    skipped.clip_layer(-2)
    assert clip_key(skipped) != clip_key(clip)
    name = next(k for k in clip.get_key_patches() if k.endswith("q_proj.weight"))

    def patched(value):
        clone = clip.clone()
        clone.add_patches({name: ("diff", (torch.full((text.WIDTH, text.WIDTH), value),))})
        return clone

    assert len({clip_key(clip), clip_key(patched(0.1)), clip_key(patched(0.2))}) == 3
    assert clip_key(patched(0.1)) == clip_key(patched(0.1))


def test_a_lora_merged_into_the_loaded_clip_does_not_change_the_key_of_the_bare_one(clip):
    before = clip_key(clip)
    patched = clip.clone()
    name = next(k for k in clip.get_key_patches() if k.endswith("q_proj.weight"))
    patched.add_patches({name: ("diff", (torch.ones(text.WIDTH, text.WIDTH),))})
    with torch.inference_mode():
        patched.encode_from_tokens_scheduled(patched.tokenize("a cat"))
        assert clip_key(clip) == before
        assert clip_key(patched) != before


def test_an_image_vae_encodes_each_frame_alone():
    vae = tiny_svd.tiny_image_vae()
    frames = images(3)
    with torch.inference_mode():
        found = video_encoder(vae)(frames)
        alone = torch.cat([vae.encode(frame[None]) for frame in frames])
    torch.testing.assert_close(found.transpose(0, 1), alone.float(), atol=1e-5, rtol=1e-5)
    assert not found.is_inference()


@pytest.mark.usefixtures("output")
def test_image_and_video_vaes_are_told_apart_before_anything_is_encoded(vae, clip):
    handle, _ = encode(add(images()), tiny_svd.tiny_image_vae(), clip)
    with pytest.raises(ValueError, match="was given an image VAE, a video VAE is needed; load the one that belongs"):
        handle.encode(PlainRecipe())
    recipe = PlainRecipe()
    recipe.frame_by_frame = True
    with pytest.raises(ValueError, match="was given a video VAE, an image VAE is needed"):
        encode(add(images()), vae, clip)[0].key(recipe)
    assert handle.encode(recipe).samples[0].latents["x0"].shape[0] == 4


def test_a_vae_of_another_kind_is_refused(vae):
    class OtherVae:
        latent_dim, latent_channels, not_video = 3, 16, True

        def throw_exception_if_invalid(self):
            return None

    with pytest.raises(ValueError, match="has 16 channels and is neither a video VAE nor that of Stable Diffusion"):
        video_encoder(OtherVae())
    assert video_encoder(vae)


def test_trained_loras_are_offered_by_the_host(output, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([], {".safetensors"}))
    folders.lora_output_folder().mkdir()
    (folders.lora_output_folder() / "mine.safetensors").write_bytes(b"")
    for _ in range(2):
        folders.register_lora_output()
    assert folder_paths.get_folder_paths("loras") == [str(output / "loras")]
    assert folder_paths.get_filename_list("loras") == ["mine.safetensors"]
