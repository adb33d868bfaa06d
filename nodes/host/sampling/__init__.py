"""Wrappers around the host's samplers: TIC-FT, inversion, motion LoRAs."""
