"""The mathematics of the three papers: plain torch, no host."""
