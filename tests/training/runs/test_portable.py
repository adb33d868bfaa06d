"""What a run needs outside the graph: its data sets by their keys, and the nodes that lead to it."""

from __future__ import annotations

import json

import pytest
from clip_pairs import encoded_pairs

from pack.training.runs.portable import FILE, NotEncodedError, PortableRun, portable_run, recalled_set, recorded_set
from pack.training.storage.cache import DiskCache
from pack.training.tic_ft.layout import plan_layouts
from pack.training.tic_ft.recipe import TicftRecipe

PROMPT = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "a.safetensors"}, "_meta": {"title": "Load"}},
    "2": {"class_type": "FewShotEncodeDataset", "inputs": {"vae": ["4", 0]}},
    "3": {"class_type": "TICFTTrain", "inputs": {"model": ["1", 0], "encoded": ["2", 0], "steps": 5}},
    "4": {"class_type": "VAELoader", "inputs": {}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}},
}


def recipe_of(encoded) -> TicftRecipe:
    """As the trainer plans it."""
    layouts = plan_layouts("image to video", encoded.dataset, -1, -1, "", 4, 1)
    return TicftRecipe("image to video", layouts[0])


def through_json(values):
    """What a file makes of it."""
    return json.loads(json.dumps(values))


@pytest.fixture
def encoded(tmp_path):
    """Pairs whose cache is a folder."""
    found = encoded_pairs()
    found._cache = DiskCache(tmp_path / "cache")
    return found


def test_a_recalled_set_has_the_keys_of_the_set_and_finds_its_entries(encoded, tmp_path):
    recipe = recipe_of(encoded)
    entries = encoded.encode(recipe)
    recalled = recalled_set(through_json(recorded_set(encoded)), tmp_path / "cache")
    assert recalled.key(recipe) == encoded.key(recipe)
    assert recalled.former_key(recipe) == encoded.former_key(recipe)
    found = recalled.encode(recipe)
    for i in range(len(entries)):
        assert found.latents(i)["x0"].equal(entries.latents(i)["x0"])
        assert found.caption(i, "caption")["cross_attn"].equal(entries.caption(i, "caption")["cross_attn"])
    assert [sample.name for sample in recalled.dataset.samples] == [sample.name for sample in encoded.dataset.samples]
    assert recalled.dataset.buckets() == encoded.dataset.buckets()


def test_what_the_cache_does_not_hold_is_missed_with_a_sentence(encoded, tmp_path):
    recipe = recipe_of(encoded)
    with pytest.raises(NotEncodedError, match=r"does not hold the caption ''.*--encode-only"):
        recalled_set(recorded_set(encoded), tmp_path / "empty").encode(recipe)
    encoded.encode(recipe)
    DiskCache(tmp_path / "cache").path(encoded._latents_key(encoded.dataset[1], recipe)).unlink()
    with pytest.raises(ValueError, match="does not hold pair 1; "):
        recalled_set(recorded_set(encoded), tmp_path / "cache").encode(recipe)


def test_a_run_keeps_the_nodes_that_lead_to_it_and_comes_back_from_its_file(encoded, tmp_path):
    run = portable_run("mine", PROMPT, "3", {"encoded": encoded})
    assert set(run.graph) == {"1", "2", "3", "4"}
    path = run.write(tmp_path)
    assert path.name == FILE
    assert PortableRun.read(path) == run
    assert PortableRun.of(through_json(run.to_dict())) == run
    assert "_meta" not in path.read_text()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"format": "other 1"}', "null"])
def test_a_damaged_file_is_refused_with_what_to_do(damage, tmp_path):
    path = tmp_path / FILE
    path.write_text(damage)
    with pytest.raises(ValueError, match=r"portable\.json of the run does not say .* queue its Train node once more"):
        PortableRun.read(path)
    path.unlink()
    with pytest.raises(ValueError, match="does not say how it is trained"):
        PortableRun.read(path)


def test_a_node_that_is_not_in_the_graph_is_refused(encoded):
    with pytest.raises(ValueError, match="another node has made the Train node"):
        portable_run("mine", PROMPT, "77", {"encoded": encoded})
