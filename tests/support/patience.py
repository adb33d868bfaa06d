"""How long a test waits for what it has started: no outcome may depend on how busy the machine is."""

PATIENCE = 1800.0  # seconds after which it counts as hung
