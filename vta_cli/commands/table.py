"""The ordered table of commands: strings alone, so that listing them imports nothing."""

# name: (module, what `vta --help` says)
COMMANDS: dict[str, tuple[str, str]] = {
    "embed": ("vta_cli.commands.embed", "Turn images into cached vectors, once."),
    "train": ("vta_cli.commands.train", "Learn a taste from labels, and say how good it is."),
    "label": ("vta_cli.commands.label", "Label images on a page that learns meanwhile."),
    "score": ("vta_cli.commands.score", "Score images from cached vectors alone."),
    "sort": ("vta_cli.commands.sort", "Rank images by score, as rows or as a folder."),
    "filter": ("vta_cli.commands.filter", "Pick images by score: list, copy, link or move."),
    "dedupe": ("vta_cli.commands.dedupe", "Find copies and near-copies, and pick the keepers."),
    "similar": ("vta_cli.commands.similar", "Find the images nearest to one."),
    "explain": ("vta_cli.commands.explain", "Say why an image got its score."),
    "report": ("vta_cli.commands.report", "Write a page: histogram, curves, pictures, mistakes."),
    "undo": ("vta_cli.commands.undo", "Take back what filter, sort or dedupe did to files."),
    "backbones": ("vta_cli.commands.backbones", "List what can turn pixels into vectors."),
    "heads": ("vta_cli.commands.heads", "List, show, import and export saved heads."),
    "store": ("vta_cli.commands.store", "Look after the store: info, check, compact, gc."),
    "config": ("vta_cli.commands.config", "Show the settings in force and where they come from."),
    "demo": ("vta_cli.commands.demo", "Run the whole job on made pictures, or on your own."),
}
