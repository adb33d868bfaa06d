"""The training bench sets ours beside an older commit, as far as that commit goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
sys.path.append(str(BENCH))

from parts import train_modes  # noqa: E402
from parts.host_pack import BEFORE  # noqa: E402

EARLIER_CONFIG = """
from dataclasses import dataclass

@dataclass
class TrainConfig:
    checkpointing: str = "off"

    def __post_init__(self):
        if self.checkpointing not in ("off", "blocks"):
            raise ValueError(f"checkpointing {self.checkpointing!r} is unknown")
"""


@pytest.fixture
def before(tmp_path, monkeypatch):
    """The package of a commit without *keep attention* and without compiling."""
    folder = tmp_path / BEFORE / "training" / "core"
    folder.mkdir(parents=True)
    (folder / "config.py").write_text(EARLIER_CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == BEFORE]:
        del sys.modules[name]


def test_half_of_the_blocks_are_half_of_those_that_the_network_has():
    settings = train_modes.settings_of("ours, bf16, half of the blocks", 12)
    assert settings == {"checkpointing": "blocks", "kept_blocks": 6}


@pytest.mark.usefixtures("before")
def test_modes_that_an_older_commit_does_not_know_are_left_out_and_named(capsys):
    ours = [mode for mode in train_modes.MODES if mode.startswith("ours")]
    assert train_modes.known_before(ours) == ["ours", "ours, blocks", "ours, bf16", "ours, bf16, blocks"]
    lines = capsys.readouterr().out.splitlines()
    told = "left out, as that commit does not know it: "
    assert [line.removeprefix(told).split(" (")[0] for line in lines] == [
        "ours, bf16, keep attention, before",
        "ours, half of the blocks, before",
        "ours, bf16, half of the blocks, before",
        "ours, compiled, before",
        "ours, blocks, compiled, before",
        "ours, bf16, keep attention, compiled, before",
    ]
    assert "checkpointing 'keep attention' is unknown" in lines[0]
