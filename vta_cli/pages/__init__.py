"""HTML that vta writes or serves: pure render functions."""
