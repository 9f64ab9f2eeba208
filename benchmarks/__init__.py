"""Speed, memory and worth, measured side by side."""
