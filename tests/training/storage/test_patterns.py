"""Patterns of users and of files are searched with, and given up where they would not end."""

from __future__ import annotations

import pytest

from pack.training.core.config import TrainConfig, module_pattern
from pack.training.lora.alpha import trained_alpha
from pack.training.storage import patterns
from pack.training.storage.patterns import SafePattern

ENDLESS = r"(a|aa)+$"


@pytest.fixture
def short(monkeypatch) -> None:
    """Patterns that end have the usual time: a busy machine may take it for a while."""
    monkeypatch.setattr(patterns, "PATIENCE", 0.05)


def test_a_pattern_finds_what_re_finds():
    assert SafePattern(r"blocks\.[0-3]\.").search("blocks.2.self_attn.q")
    assert not SafePattern(r"blocks\.[0-3]\.").search("blocks.7.self_attn.q")
    assert SafePattern("q").fullmatch("q")
    assert not SafePattern("q").fullmatch("qq")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("method", ["search", "fullmatch"])
def test_a_search_that_would_not_end_is_given_up(method):
    with pytest.raises(ValueError, match="takes too long to search 'aaaa"):
        getattr(SafePattern(ENDLESS), method)("a" * 80 + "!")


@pytest.mark.usefixtures("short")
def test_all_searches_of_a_pattern_share_the_time():
    pattern = SafePattern(ENDLESS)
    for _ in range(3):
        with pytest.raises(ValueError, match="takes too long"):
            pattern.search("a" * 80 + "!")
    assert pattern.seconds_left < 0.05


@pytest.mark.parametrize("text", ["(", "a" * 3000, "(?P<a>.)(?P=b)"])
def test_what_is_no_pattern_is_refused_with_the_settings(text):
    with pytest.raises(ValueError, match=r"target_modules 'regex:.* cannot be used: .*; correct it"):
        TrainConfig(target_modules=f"regex:{text}")


@pytest.mark.usefixtures("short")
def test_target_modules_of_a_catastrophic_pattern_are_refused_in_time():
    pattern = module_pattern(f"regex:{ENDLESS}")
    assert pattern is not None
    with pytest.raises(ValueError, match="without repetitions inside of repetitions"):
        pattern.search("a" * 80 + "!")


@pytest.mark.usefixtures("short")
def test_a_pattern_in_the_settings_of_a_lora_file_cannot_hang_its_loader():
    settings = {"lora_alpha": 4, "r": 4, "alpha_pattern": {ENDLESS: 2}}
    with pytest.raises(ValueError, match=r"adapter settings are damaged .* takes too long"):
        trained_alpha(settings, "a" * 80 + "!", 4)
