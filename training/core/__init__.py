"""The one training loop: settings, batches, noise levels, optimisers, steps, previews."""
