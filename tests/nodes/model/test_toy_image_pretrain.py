"""The image model's training speaks the host's language: its latents, its noise schedule, its captions."""

from __future__ import annotations

import fresh_toy_image
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import nodes as host_nodes
from pack.nodes.host.model import toy_image
from pack.toy import image_model, pictures, text, weights, world
from pack.toy.pretrain import captions, image_base, image_base_training, image_vae, image_vae_training
from pack.toy.pretrain.kernels import flatten_kernels, plain_weights

SIZE = (2, 4, 16, 16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return fresh_toy_image.write(tmp_path_factory.mktemp("toy image"))


@pytest.fixture
def model(files, monkeypatch):
    monkeypatch.setattr(weights, "IMAGE_BASE", files[0])
    monkeypatch.setattr(weights, "IMAGE_VAE", files[1])
    return toy_image.load_image_model()


@pytest.fixture
def trained_network(files):
    network = image_base.build_image_network()
    network.load_state_dict({name: value.float() for name, value in load_file(files[0]).items()})
    return network


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_latents_lie_where_the_host_puts_what_it_encodes(model, files):
    network, vae = image_vae.load_image_vae(files[1]), toy_image.load_image_vae()
    found = image_base_training.encode_pictures(network, range(40, 43), seed=0)
    frames = [world.render(image_base_training.picture_of(i, 0)[0], 1) for i in range(40, 43)]
    with torch.inference_mode():
        expected = model.model.process_latent_in(vae.encode(torch.from_numpy(np.concatenate(frames))))
    torch.testing.assert_close(found, expected.clone(), atol=1e-4, rtol=1e-4)
    assert 0.5 < found.std() < 2  # and not 5.5, which is without the class's scale


def test_the_error_is_that_of_the_noise_the_host_would_take_away(model, trained_network):
    x0, noise, context = normal(*SIZE), normal(*SIZE, seed=1), normal(2, 77, text.WIDTH, seed=2)
    timestep = torch.tensor([120, 870])
    sampling = image_base.sampling_of_host()
    with torch.no_grad():
        error = image_base.noise_error(trained_network, sampling, x0, context, timestep, noise)
        base = model.model
        sigma = base.model_sampling.sigmas[timestep]
        noised = x0 + sigma.view(-1, 1, 1, 1) * noise
        clean = base.apply_model(noised, sigma, c_crossattn=context)
    torch.testing.assert_close(error, (noised - clean) / sigma.view(-1, 1, 1, 1) - noise, atol=1e-3, rtol=1e-3)


def test_the_loss_weighs_the_square_of_the_error_with_sigma(trained_network):
    x0, noise, context = normal(*SIZE), normal(*SIZE, seed=1), normal(2, 77, text.WIDTH, seed=2)
    sampling = image_base.sampling_of_host()
    inputs = (trained_network, sampling, x0, context, torch.tensor([0, 999]), noise)
    with torch.no_grad():
        square = image_base.noise_error(*inputs).square().flatten(1).mean(1)
        loss = image_base.noise_loss(*inputs)
    torch.testing.assert_close(loss, square * torch.tensor([0.25, sampling.sigmas[-1].item()]))


def test_the_training_network_has_the_names_and_shapes_of_the_models(model, trained_network):
    ours, host = trained_network.state_dict(), model.model.diffusion_model.state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in host.items()}


def test_captions_are_embedded_as_the_node_does():
    caption = "a red disc on a grey background"
    with torch.inference_mode():
        expected = host_nodes.CLIPTextEncode().encode(toy_image.load_image_clip(), caption)[0][0][0]
    torch.testing.assert_close(
        captions.Captions()([caption]), expected.clone(), atol=2e-3, rtol=2e-3
    )  # kept as float16


def test_the_fresh_network_finds_the_noise_where_there_is_little_else():
    torch.manual_seed(0)
    network, sampling = image_base.build_image_network(), image_base.sampling_of_host()
    x0, noise, context = normal(*SIZE), normal(*SIZE, seed=1), normal(2, 77, text.WIDTH, seed=2)
    with torch.no_grad():
        error = image_base.noise_error(network, sampling, x0, context, torch.tensor([950, 999]), noise)
    assert error.square().mean() < 0.05
    assert sum(p.numel() for p in network.parameters()) < 3_000_000


def test_every_weight_of_both_networks_learns():
    torch.manual_seed(0)
    unet, vae = image_base.build_image_network(), image_vae.build_image_vae()
    flatten_kernels(unet)
    inputs = (normal(*SIZE), normal(2, 77, text.WIDTH), torch.tensor([100, 600]), normal(*SIZE, seed=1))
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in (unet, vae)]
    for _ in range(3):  # what starts at zero lets others learn only after it has moved
        image_base.noise_loss(unet, image_base.sampling_of_host(), *inputs).mean().backward()
        pictures_ = image_vae_training.draw_pictures(0, 0, 2)
        (vae.decode(vae.encode(pictures_)) - pictures_).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    still = [n for net in (unet, vae) for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_a_fresh_vae_pools_and_repeats():
    torch.manual_seed(0)
    network, frames = image_vae.build_image_vae(), image_vae_training.draw_pictures(0, 0, 6)
    with torch.no_grad():
        again = network.decode(network.encode(frames))
    assert 10 * torch.log10(4 / (again - frames).square().mean()) > 22


def test_plain_pictures_of_any_colour_keep_their_brightness():
    torch.manual_seed(0)
    network = image_vae.build_image_vae()
    levels = torch.tensor([-0.9, -0.3, 0.4, 0.9]).view(4, 1, 1, 1).expand(4, 3, 64, 64)
    with torch.no_grad():
        again = network.decode(network.encode(levels.clone()))
    torch.testing.assert_close(again.mean((1, 2, 3)), levels.mean((1, 2, 3)), atol=0.15, rtol=0)


def test_folding_the_scale_changes_it_and_nothing_else():
    torch.manual_seed(0)
    network, frames = image_vae.build_image_vae(), image_vae_training.draw_pictures(0, 1, 4)
    with torch.no_grad():
        raw = network.encode(frames)
        before = network.decode(raw)
        flat = raw.transpose(0, 1).flatten(1)
        image_vae.fold_scale(network, flat.mean(1), flat.std(1))
        folded = network.encode(frames)
        after = network.decode(folded)
    inside = (image_model.SCALE * folded).transpose(0, 1).flatten(1)
    torch.testing.assert_close(inside.mean(1), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.std(1), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_flat_kernels_come_back_under_the_hosts_names_and_shapes():
    torch.manual_seed(0)
    network = image_base.build_image_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    matrices = flatten_kernels(network)
    after = plain_weights(network, dict(network.named_parameters()))
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(matrix.ndim == 2 for matrix in matrices)


def test_batches_are_functions_of_the_step_and_take_some_captions_away():
    batches = image_base_training.Batches(normal(64, 4, 16, 16), seed=0)
    assert batches.texts[5] == pictures.draw_picture(np.random.default_rng((0, 12, 5)))[1]
    for first, again in zip(batches.draw(3), batches.draw(3), strict=True):
        assert torch.equal(first, again)
    empty = batches.captions([""])[0]
    taken = [bool((row == empty).all()) for step in range(12) for row in batches.draw(step)[1]]
    assert 0.05 < sum(taken) / len(taken) < 0.16
    steps = torch.cat([batches.draw(step)[2] for step in range(12)])
    assert (steps.min() < 40, steps.max() > 990, steps.float().mean() > 540) == (True, True, True)


def test_pictures_are_encoded_once_and_read_again(files, tmp_path, monkeypatch):
    monkeypatch.setattr(image_base_training, "PICTURES", 3)
    (tmp_path / "image_vae.safetensors").write_bytes(files[1].read_bytes())
    first = image_base_training.read_pictures(tmp_path, 0)
    (tmp_path / "image_vae.safetensors").unlink()
    assert first.shape == (3, 4, 16, 16)
    assert torch.equal(first, image_base_training.read_pictures(tmp_path, 0))


def test_both_stages_train_and_write_what_the_node_loads(tmp_path, monkeypatch):
    monkeypatch.setattr("comfy.model_management.in_training", False)
    monkeypatch.setattr(image_base_training, "PICTURES", 4)
    monkeypatch.setattr(image_base_training, "BATCH", 2)
    monkeypatch.setattr(image_vae_training, "BATCH", 2)
    image_vae_training.train_image_vae(tmp_path, 0.01, seed=0)
    image_base_training.train_image_base(tmp_path, 0.01, seed=0)
    first = load_file(tmp_path / "image_base.safetensors")
    image_base_training.train_image_base(tmp_path, 0.01, seed=0)  # its time is over: nothing more happens
    monkeypatch.setattr(weights, "IMAGE_BASE", tmp_path / "image_base.safetensors")
    monkeypatch.setattr(weights, "IMAGE_VAE", tmp_path / "image_vae.safetensors")
    found = toy_image.load_image_model().model.diffusion_model.state_dict()
    assert toy_image.load_image_vae().latent_channels == 4
    assert {name: value.dtype for name, value in first.items()} == dict.fromkeys(found, torch.float16)
    assert all(torch.equal(first[name].float(), value.float()) for name, value in found.items())
    assert weights.read(tmp_path / "image_base.safetensors")[1]["step"] == "1"
