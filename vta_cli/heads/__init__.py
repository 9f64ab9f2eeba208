"""Small learned functions on vectors; never sees a path or a file name of an image."""
