"""Small things of the host: folders, progress, images, workflow metadata, version."""
