"""Plans of copies, moves and links; their journal and their undo."""
