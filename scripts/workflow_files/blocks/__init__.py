"""Blocks: subgraphs inside workflows, and blueprints."""
