"""vta, the Visual Taste Approximator: learn one person's taste, apply it to millions of images."""

__version__ = "0.1.0"
