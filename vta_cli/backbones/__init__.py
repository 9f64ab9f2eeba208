"""Frozen functions from pixels to vectors, and but for one module of heads the home of torch."""
