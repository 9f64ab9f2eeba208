"""Sources, decoding, views and keys of images; never sees a network."""
