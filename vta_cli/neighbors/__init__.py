"""Exact near-duplicate joins, nearest rows, groups."""
