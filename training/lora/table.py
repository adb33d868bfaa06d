"""A table of layers: the host's name of each on one side, diffusers' on the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

KOHYA_PREFIX = "lora_unet_"  # of kohya's and musubi-tuner's files, whose names have underscores for dots
# Those of LyCORIS and of OneTrainer too; behind any of them are the host's names or diffusers'.
FLAT_PREFIXES = (KOHYA_PREFIX, "lycoris_", "lora_transformer_")

_PREFIXES = re.compile(r"^(?:(?:transformer|base_model\.model|diffusion_model)\.)+")
_BLOCK = re.compile(r"(?<=blocks[._])\d+(?=[._])")
Parts = tuple[tuple[str, int], ...]  # diffusers' name of each part, and its rows over the layer's inputs


@dataclass(frozen=True)
class KeyTable:
    """The layers of one family that a LoRA can hold: (the host's name, diffusers' name), ``{}`` for the block.

    A pair names the same weight of the same shape. ``fused`` has the exceptions: one layer of the host that is
    several of diffusers', whose rows lie one after the other in it.
    """

    family: str
    layers: tuple[tuple[str, str], ...]
    marks: tuple[str, ...]  # the host's names that tell a network of this family from the others
    fused: tuple[tuple[str, Parts], ...] = ()
    swapped: tuple[str, ...] = ()  # the host's names of layers whose two halves are the other way round in diffusers
    others: tuple[tuple[str, str], ...] = ()  # (the host's name, the name of the model's authors)
    other_parts: tuple[tuple[str, str], ...] = ()  # the same for parts of fused layers: (diffusers' name, theirs)
    widths: tuple[int, ...] = ()  # of the attention in published models, where the names alone do not tell the family

    def to_host(self, layer: str) -> str | None:
        """The host's name of a layer in any form, with or without a prefix; None if it is not in the table.

        All parts of a fused layer have that layer's name.
        """
        return _look_up(layer, self._host_names)

    def to_diffusers(self, layer: str) -> str | None:
        """Diffusers' name of a layer in any form; None if it is not in the table, or is fused."""
        return _look_up(layer, self._diffusers_names)

    def part_of(self, layer: str) -> int | None:
        """Which part of a fused layer a name of diffusers is, counted from 0; None for all others."""
        return self._places.get(template(layer))

    def parts(self, layer: str) -> Parts:
        """The parts of a fused layer of the host, with diffusers' names; none for all others."""
        number = block_of(layer)
        return tuple((name.format(number), width) for name, width in dict(self.fused).get(template(layer), ()))

    def is_swapped(self, layer: str) -> bool:
        """Whether the halves of a layer of the host are the other way round in diffusers."""
        return template(layer) in self.swapped

    def is_diffusers(self, layer: str) -> bool:
        """Whether a layer has a name of diffusers, with dots or without, that is not the host's too."""
        theirs = self.names(1) - self.names(0)
        return template(layer) in theirs or any(template(layer) in flat_names(name) for name in theirs)

    def names(self, column: int) -> set[str]:
        """All names of the host (0) or of diffusers (1), ``{}`` for the block."""
        fused = {
            name for host, parts in self.fused for name in ([host] if column == 0 else [part for part, _ in parts])
        }
        return {pair[column] for pair in self.layers} | fused

    @cached_property
    def _host_names(self) -> dict[str, str]:
        known = {name: host for host, diffusers in self.layers for name in (diffusers, host)}
        known |= {name: host for host, parts in self.fused for name in (host, *(part for part, _ in parts))}
        known |= {name: known[part] for part, name in self.other_parts}
        known |= {name: host for host, name in self.others}
        return known | {flat: host for name, host in known.items() for flat in flat_names(name)}

    @cached_property
    def _diffusers_names(self) -> dict[str, str]:
        names = dict(self.layers)
        return {name: names[host] for name, host in self._host_names.items() if host in names}

    @cached_property
    def _places(self) -> dict[str, int]:
        parts = {part: i for _, parts in self.fused for i, (part, _) in enumerate(parts)}
        parts |= {name: parts[part] for part, name in self.other_parts}
        return parts | {flat: i for part, i in parts.items() for flat in flat_names(part)}


def flat_names(name: str) -> tuple[str, ...]:
    """A layer's name as tools write it that have underscores for dots."""
    return tuple(f"{prefix}{name.replace('.', '_')}" for prefix in FLAT_PREFIXES)


def bare_name(layer: str) -> str:
    """A layer's name without the prefixes that tools put before it."""
    return _PREFIXES.sub("", layer)


def template(layer: str) -> str:
    """A layer's bare name, ``{}`` for the block."""
    return _BLOCK.sub("{}", bare_name(layer), count=1)


def block_of(layer: str) -> str:
    """Number of a layer's block; empty where it has none."""
    found = _BLOCK.search(bare_name(layer))
    return found[0] if found else ""


def _look_up(layer: str, names: dict[str, str]) -> str | None:
    found = names.get(template(layer))
    return found.format(block_of(layer)) if found else None
