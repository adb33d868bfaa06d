"""How much memory work takes, and which errors mean that there was too little."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch

from pack.nodes.host.session.memory_use import is_out_of_memory, peak_memory

CPU = torch.device("cpu")
KIB = 1024


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        comfy.model_management.OOM_EXCEPTION("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("HIP error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB, other allocations: 1.00 GB)"),
        RuntimeError("XPU out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
        RuntimeError("level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)"),
        RuntimeError("Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES) -5"),
        RuntimeError("Could not allocate tensor with 67108864 bytes. There is not enough GPU video memory available!"),
        caused(ValueError("the step failed"), MemoryError()),
    ],
    ids=repr,
)
def test_an_out_of_memory_error_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("out of memory"), RuntimeError("expected a Float tensor"), KeyboardInterrupt()], ids=repr
)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def test_a_real_allocation_that_is_far_too_large_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    assert is_out_of_memory(caught.value)


def test_the_peak_is_what_lives_at_once():
    with peak_memory(CPU) as peak:
        for _ in range(10):
            a = torch.ones(KIB)
            b = a * 2
            del a, b
    assert peak.bytes == 2 * 4 * KIB


def test_views_and_changes_in_place_take_nothing():
    kept = torch.ones(KIB)
    with peak_memory(CPU) as peak:
        kept.view(2, -1).add_(1)
        kept[:10].mul_(2)
    assert peak.bytes == 0


def test_what_autograd_keeps_counts_until_the_backward_pass():
    weight = torch.randn(KIB, requires_grad=True)
    with peak_memory(CPU) as peak:
        x = weight
        for _ in range(5):
            x = x.exp()  # each keeps its result
    assert peak.bytes == 5 * 4 * KIB
