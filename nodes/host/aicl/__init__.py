"""AICL's adapter on a MODEL."""
