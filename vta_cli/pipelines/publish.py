"""A head of a store as a folder fit for publishing: the head, a card for people, plain JSON."""

import os
import shutil
import tempfile
from pathlib import Path

from vta_cli.backbones.presets import EXTRAS
from vta_cli.errors import UsageError
from vta_cli.exchange.card import card, known_json
from vta_cli.heads.saved import load_head
from vta_cli.pipelines.exchange import HEAD_FILE
from vta_cli.pipelines.score import find_head, recipes_of
from vta_cli.store.store import Store

PRIVATE = ("labels", "history", "oof")
"""Metadata that an export leaves out: which images were liked, and how labelling went."""
JSON_FILE = "head.json"
CARD_FILE = "README.md"


def export_head(store: Store, name: str | None, out: Path, licence: str | None) -> Path:
    """Write a head as a folder fit for publishing: the head, a card for people, plain JSON.

    Content keys of the labelled images are left out: they would tell strangers who own the same
    pictures what was liked.

    Parameters
    ----------
    name : str or None
        Name or file; None for the newest.
    out : Path
        The folder; it must not exist, or be empty.
    licence : str or None
        What the card says of the licence; None: that of an imported head, else a gap to fill.

    Raises
    ------
    UsageError
        If the folder is in use.
    """
    path = find_head(store, name)
    head = load_head(path)
    recipes_of(head, path.stem)
    if not out.absolute().parent.is_dir():
        raise UsageError(
            "no-such-folder",
            f"cannot write {out}: its folder does not exist",
            hint=f"make it first: mkdir -p {out.parent}",
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(
            "output-exists", f"{out} exists and is not empty", hint="name a new folder"
        )
    public = head.with_meta(name=head.meta.get("name") or path.stem)
    for private in PRIVATE:
        public.meta.pop(private, None)
    known = known_json(public.meta, public.recipes, public.dims, public.promise, public.normalise)
    made = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=f".{out.name[:50]}-"))
    try:
        public.save(made / HEAD_FILE)
        (made / JSON_FILE).write_text(known, encoding="utf-8")
        families = {str(recipe["backbone"]).partition(":")[0] for recipe in public.recipes}
        extras = sorted({EXTRAS[family] for family in families if family in EXTRAS})
        text = card(public.meta, public.recipes, public.promise, public.normalise, licence, extras)
        (made / CARD_FILE).write_text(text, encoding="utf-8")
        made.chmod(0o755)
        os.replace(made, out)  # noqa: PTH105 - replaces an empty folder, and no other
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return out
