"""TIC-FT: what is encoded and what is learned."""
