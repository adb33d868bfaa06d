"""What the host's networks remember of a pass that computes shapes alone is forgotten with it."""

from __future__ import annotations

import sys
import types
from functools import lru_cache

import torch

from pack.nodes.host.layers.network_caches import NETWORKS, clear_network_caches
from pack.nodes.host.layers.simulation import simulation


def test_ltx_s_frequencies_have_numbers_after_a_step_was_counted():
    from comfy.ldm.lightricks.model import generate_freq_grid_np

    clear_network_caches()  # as in a ComfyUI that has just started
    with simulation(torch.float32):
        counted = generate_freq_grid_np(10000.0, 3, 32)
    found = generate_freq_grid_np(10000.0, 3, 32)
    assert type(counted) is not torch.Tensor  # so that the cache would have mattered
    assert type(found) is torch.Tensor
    assert float(found[-1]) > float(found[0]) > 0.0


def test_functions_and_methods_of_the_host_s_networks_alone_forget(monkeypatch):
    calls: list[str] = []
    network, other = types.ModuleType(f"{NETWORKS}of_a_test"), types.ModuleType("of_a_test")

    class Layer:
        @lru_cache  # noqa: B019 - as the host has it
        def table(self) -> None:
            calls.append("method")

    Layer.__module__ = network.__name__
    network.Layer, layer = Layer, Layer()
    network.table, other.table = lru_cache(lambda: calls.append("network")), lru_cache(lambda: calls.append("other"))
    for module in (network, other):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for _ in range(2):
        for function in (layer.table, network.table, other.table):
            function()
        clear_network_caches()
    assert sorted(calls) == ["method", "method", "network", "network", "other"]
