"""What a loaded MODEL is: family, noise process, fingerprint, LoRAs, encoders."""
