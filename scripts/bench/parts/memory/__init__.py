"""What measurements of memory are made of."""
