"""Label sets and their readers."""
