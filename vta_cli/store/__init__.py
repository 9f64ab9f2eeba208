"""Keys, arrays and opaque recipes on disk; has never heard of an image."""
