"""The card of a published head: what people have to know of it, as Markdown and as plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vta_cli.records import Promise

FIGURES = (
    ("auc", "AUC"), ("accuracy", "accuracy at 0.5"), ("brier", "Brier score"),
    ("ece", "calibration error (ECE)"),
)  # fmt: skip
"""Metadata of trained heads that the card shows, all of it out of fold."""


def card(
    meta: Mapping[str, Any],
    recipes: Sequence[Mapping[str, Any]],
    promise: Promise,
    normalise: bool,
    licence: str | None,
    extras: Sequence[str] = (),
) -> str:
    """Write the card.

    Parameters
    ----------
    meta : mapping
        What the head says of itself.
    recipes : sequence of mapping
        JSON of the recipes of the vectors that it reads.
    promise : Promise
        What its score means.
    normalise : bool
        Whether it scales vectors to unit length.
    licence : str or None
        None: that of an imported head, else a gap to fill.
    extras : sequence of str
        Of vta, which the backbones need.

    Returns
    -------
    str
        Markdown, one sentence a line.
    """
    name = str(meta.get("name") or "head")
    published = meta.get("published")
    published = published if isinstance(published, Mapping) else {}
    terms = licence or str(published.get("licence") or "")
    title = (
        f"# {name}\n\nA head for vta, the Visual Taste Approximator: "
        f"a small function on image embeddings.\nIts score: {promise.describe()}."
    )
    sections = [
        title,
        _origin(meta, published),
        _quality(meta),
        _reads(recipes, normalise),
        _use(name, recipes, extras),
        "## Licence\n\n" + (terms or "TODO: say under which licence you publish this head.") + "\n"
        "The backbones have licences of their own.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def known_json(
    meta: Mapping[str, Any],
    recipes: Sequence[Mapping[str, Any]],
    dims: Sequence[int],
    promise: Promise,
    normalise: bool,
) -> str:
    """Return all but the arrays as JSON text, for programs that read no safetensors."""
    known = {
        "meta": dict(meta),
        "recipes": [dict(recipe) for recipe in recipes],
        "dims": list(dims),
        "normalise": normalise,
        "promise": asdict(promise),
    }
    return json.dumps(known, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _origin(meta: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    if published:
        origin = (
            f"Imported from `{published.get('file')}` of {published.get('source')}: "
            f"{published.get('title')}, {_count(published.get('n_parameters'))} parameters."
        )
        lines = [
            origin,
            f"BLAKE3 of that file: `{published.get('blake3')}`.",
            *(f"Note: {note}." for note in _list(meta.get("notes"))),
        ]
    elif "n_positive" in meta:
        origin = (
            f"Trained with vta {meta.get('vta', '?')} on {_count(meta['n_positive'])} liked and "
            f"{_count(meta.get('n_negative'))} disliked images, "
            f"{str(meta.get('created', 'undated'))[:10]}."
        )
        lines = [
            origin,
            "One person's taste: it knows what these images showed, and nothing else.",
        ]
    elif "n_labels" in meta:
        origin = (
            f"Trained with vta {meta.get('vta', '?')} on {_count(meta['n_labels'])} labels of the "
            f"kind {meta.get('kind', '?')}, {str(meta.get('created', 'undated'))[:10]}."
        )
        lines = [origin, "It knows what these images showed, and nothing else."]
    else:
        return ""
    return "## Origin\n\n" + "\n".join(lines)


def _count(value: Any) -> str:
    """Write a number of things; a head of a stranger may hold anything."""
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _quality(meta: Mapping[str, Any]) -> str:
    rows = [
        f"| {title} | {meta[key]:.3f} |"
        for key, title in FIGURES
        if isinstance(meta.get(key), float)
    ]
    figures = meta.get("figures")
    if isinstance(figures, Mapping):
        rows += [f"| {name} | {x:.3f} |" for name, x in figures.items() if isinstance(x, float)]
    if not rows:
        return ""
    text = "## Quality, out of fold\n\n| measure | value |\n|---|---|\n" + "\n".join(rows)
    limits = meta.get("thresholds")
    if isinstance(limits, Mapping):
        shown = [f"| {key} | {v:.3f} |" for key, v in limits.items() if isinstance(v, float)]
        if shown:
            text += "\n\n| recommended threshold | score |\n|---|---|\n" + "\n".join(shown)
    if meta.get("trust"):
        text += f"\n\nHow far these figures carry: {meta['trust']}."
    return text


def _reads(recipes: Sequence[Mapping[str, Any]], normalise: bool) -> str:
    rows = []
    for recipe in recipes:
        shape = recipe["preprocess"]
        pixels = shape["crop_px"] or shape["resize_px"]
        rows.append(
            f"| `{recipe['backbone']}` | {recipe['dim']} | {shape['mode']} to {shape['resize_px']} "
            f"px, {shape['interpolation']}, sees {pixels} px | {_weights(recipe)} |"
        )
    return (
        "## What it reads\n\n| backbone | columns | picture | weights |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\nThe vectors of each backbone are "
        + ("scaled to unit length." if normalise else "taken as they are, not normalised.")
    )


def _weights(recipe: Mapping[str, Any]) -> str:
    weights = str(recipe["weights"])
    if weights == "none":
        return "none needed"
    return "those of that name" if weights == "any" else f"BLAKE3 `{weights[:16]}…`"


def _use(name: str, recipes: Sequence[Mapping[str, Any]], extras: Sequence[str]) -> str:
    backbones = " ".join(f"--backbone {recipe['backbone']}" for recipe in recipes)
    wanted = f"'vta[{','.join(extras)}]'" if extras else "vta"
    return (
        "## How to use it\n\n"
        "```sh\n"
        f"pip install {wanted}\n"
        f"vta embed images/ {backbones}\n"
        "vta heads import FOLDER-OF-THIS-CARD\n"
        f"vta score images/ --model '{name}' > scores.csv\n"
        "```\n\n"
        "`head.safetensors` holds arrays and JSON, never code; `head.json` is the same without "
        "the arrays."
    )
