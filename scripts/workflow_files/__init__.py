"""What the files in workflows/ are written from."""
