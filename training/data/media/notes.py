"""What is found in a file while it is read, in words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Notes:
    """Sentences about one file, each once and in the order they came up."""

    said: list[str] = field(default_factory=list)  # what is done to it
    warned: list[str] = field(default_factory=list)  # what to look at

    def say(self, *texts: str) -> None:
        """Add what is done to it."""
        self.said += [text for text in dict.fromkeys(texts) if text not in self.said]

    def warn(self, *texts: str) -> None:
        """Add what to look at."""
        self.warned += [text for text in dict.fromkeys(texts) if text not in self.warned]
