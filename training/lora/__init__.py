"""LoRA layers, their files, and the names that other tools give them."""
