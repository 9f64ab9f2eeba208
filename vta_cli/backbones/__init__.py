"""Frozen functions from pixels to vectors, and the only home of torch."""
