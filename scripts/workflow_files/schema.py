"""Read the node schemas of a running host the way its front end does: which inputs are sockets, which widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
SEED_NAMES = {"seed", "noise_seed"}  # they get a control widget unless the schema says no
UPLOADS = ("image_upload", "video_upload", "audio_upload", "file_upload")
NOTES = ("MarkdownNote", "Note")  # only the front end knows these


@dataclass(frozen=True)
class Input:
    """One input of a node."""

    name: str
    type: str  # "COMBO" for every kind of list, several types joined by commas
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] | None = None  # of a combo
    optional: bool = False
    grown: bool = False  # one of a growing row of sockets: it is there as soon as the one before it is wired

    @property
    def is_widget(self) -> bool:
        """Whether the front end draws a widget for it (which can be wired, too)."""
        return self.type in WIDGET_TYPES and not self.options.get("forceInput")

    @property
    def control(self) -> str | None:
        """First value of the "control after generate" widget behind it, or None when there is none."""
        said = self.options.get("control_after_generate")
        if self.type != "INT" or said is False or (said is None and self.name not in SEED_NAMES):
            return None
        return said if isinstance(said, str) else "randomize"

    @property
    def uploads(self) -> bool:
        """Whether an upload button sits behind it; the front end saves a value for that, too."""
        return any(self.options.get(key) for key in UPLOADS)


def read_input(name: str, spec: list[Any], optional: bool) -> Input:
    """An input from its entry in ``object_info``."""
    options = spec[1] if len(spec) > 1 else {}
    if isinstance(spec[0], list):
        return Input(name, "COMBO", options, tuple(spec[0]), optional)
    choices = options.get("options") if spec[0].startswith("COM") else None
    return Input(name, spec[0], options, None if choices is None else tuple(choices), optional)


def read_inputs(info: Mapping[str, Any]) -> list[Input]:
    """All inputs of a node, in the order the front end takes them: required ones first."""
    return [
        entry
        for part in ("required", "optional")
        for name, spec in info["input"].get(part, {}).items()
        for entry in _grown(read_input(name, spec, part == "optional"))
    ]


def _grown(entry: Input) -> Iterator[Input]:
    """An input, or all sockets that a growing one may have."""
    if entry.type != "COMFY_AUTOGROW_V3":
        yield entry
        return
    template = entry.options["template"]
    ((_, spec),) = (pair for part in template["input"].values() for pair in part.items())
    for i in range(template["max"]):
        name = f"{entry.name}.{template['prefix']}{i}"
        yield Input(name, spec[0], spec[1] if len(spec) > 1 else {}, None, i >= template["min"], True)


def expand(entry: Input, value: Any) -> Iterator[Input]:
    """A widget input and, for a dynamic combo, the inputs that its chosen option brings."""
    if entry.type != "COMFY_DYNAMICCOMBO_V3":
        yield entry
        return
    keys = tuple(option["key"] for option in entry.choices or ())
    yield Input(entry.name, entry.type, entry.options, keys, entry.optional)
    for option in entry.choices or ():
        if option["key"] == value:
            for part in ("required", "optional"):
                for name, spec in option["inputs"].get(part, {}).items():
                    yield read_input(f"{entry.name}.{name}", spec, part == "optional")


def default_of(entry: Input) -> Any:
    """What the widget shows before anybody touches it.

    Raises:
        ValueError: the schema has no default, so the workflow must give a value.
    """
    if "default" in entry.options:
        return entry.options["default"]
    if entry.choices:
        first = entry.choices[0]
        return first["key"] if isinstance(first, dict) else first
    if entry.type == "STRING":
        return ""
    raise ValueError(f"input {entry.name!r} has no default; give it a value")
