"""Exact near-duplicate joins, nearest rows, groups: arrays in, arrays out, never a path."""
