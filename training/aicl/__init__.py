"""AICL: what is encoded and what is learned, and the adapter's file."""
