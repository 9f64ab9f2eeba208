"""Route images to scorers: a classifier says what an image is, and so which head's score counts.

All heads run in the one pass of `score.score`, so each image is looked up once; a head that cannot
judge an image for want of vectors matters only where its score is the one that counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vta_cli.config import nearest
from vta_cli.errors import UsageError
from vta_cli.heads.pooling import Pool
from vta_cli.images.tiling import View
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import Model, ScoreBlock, ScoreReport, columns_of, load_model, score
from vta_cli.pipelines.sources import NOT_EMBEDDED, Source
from vta_cli.records import Promise
from vta_cli.store.store import Store

OTHERS = "*"
"""Stands for every label that is not named."""
YES, NO = "yes", "no"
"""Labels of a head that knows liked and disliked."""
NO_TAG = "-"
"""Where none of the named tags is likelier than not."""
NO_ROUTE = "no-route"
"""Reason of an image whose label has no model."""
EVEN = 0.5
"""Probability from which a tag, or being liked, is likelier than not."""
HINT = "say CLASSIFIER=LABEL:MODEL,LABEL:MODEL; *:MODEL takes the other labels"


@dataclass(frozen=True)
class Route:
    """A classifier and the scorers that it chooses among.

    Attributes
    ----------
    classifier : Model
    scorers : tuple of Model
        Each once.
    named : dict of str to int
        Place in `scorers` for each label that was named, `OTHERS` included.
    notes : tuple of str
        Sentences for the user.
    """

    classifier: Model
    scorers: tuple[Model, ...]
    named: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[Model, ...]:
        """All heads that run."""
        return (self.classifier, *self.scorers)

    @property
    def promise(self) -> Promise:
        """What a chosen score can be: the range of all scorers; bounded if all of them are."""
        found = [scorer.taste.promise for scorer in self.scorers]
        return replace(
            found[0],
            low=min(one.low for one in found),
            high=max(one.high for one in found),
            bounded=all(one.bounded for one in found),
        )


def labels_of(promise: Promise, name: str) -> tuple[str, ...]:
    """Return the labels that a head tells apart.

    Raises
    ------
    UsageError
        ``no-classifier`` if it tells none apart.
    """
    if promise.kind in ("classes", "tags"):
        return promise.names
    if promise.kind == "probability":
        return (YES, NO)
    raise UsageError(
        "no-classifier",
        f"{name} is no classifier: its score is a {promise.describe()}",
        hint="route by a head that knows classes, tags, or liked and disliked",
    )


def load_route(
    store: Store, texts: Sequence[str], *, pool: Pool = "mean", views: View | None = None
) -> Route:
    """Read and load a route.

    Parameters
    ----------
    texts : sequence of str
        ``CLASSIFIER=LABEL:MODEL,LABEL:MODEL`` each; several add up if they name one classifier.
    pool, views
        As in `score.load_model`.

    Raises
    ------
    UsageError
        ``bad-route``, ``no-classifier``, ``no-such-label``, or ``no-head``.
    HeadError
        If a file is no head, or the store lacks the vectors of one.
    """
    parted = [text.partition("=") for text in texts]
    name = parted[0][0]
    if not all(first and sign and rest for first, sign, rest in parted):
        raise UsageError("bad-route", f"{texts[0]!r} is no route", hint=HINT)
    if len({first for first, _, _ in parted}) > 1:
        raise UsageError(
            "bad-route",
            "several routes have to have one classifier",
            hint=f"say --route {name}=... for each",
        )
    classifier = load_model(store, name, pool=pool, views=views)
    labels = labels_of(classifier.taste.promise, name)
    wanted: dict[str, str] = {}
    for _, _, rest in parted:
        for label, model in _parse(rest, labels):
            if label not in (*labels, OTHERS):
                raise UsageError(
                    "no-such-label",
                    f"{name} knows no {label!r}",
                    hint=nearest(label, labels),
                )
            if wanted.setdefault(label, model) != model:
                raise UsageError(
                    "bad-route",
                    f"{label!r} is given two models, {wanted[label]} and {model}",
                    hint="one label has one model",
                )
    order = list(dict.fromkeys(wanted.values()))
    scorers = tuple(load_model(store, model, pool=pool, views=views) for model in order)
    named = {label: order.index(model) for label, model in wanted.items()}
    return _loaded(classifier, scorers, named, wanted)


def _loaded(
    classifier: Model, scorers: tuple[Model, ...], named: dict[str, int], wanted: dict[str, str]
) -> Route:
    notes = [note for model in (classifier, *scorers) for note in model.notes]
    scales = {
        f"{one.taste.promise.low:g} to {one.taste.promise.high:g}": one.name for one in scorers
    }
    if len(scales) > 1:
        told = ", ".join(f"{name} {scale}" for scale, name in scales.items())
        notes.append(f"the scorers have different scales, so their scores do not compare: {told}")
    promise = classifier.taste.promise
    left = [one for one in labels_of(promise, classifier.name) if one not in wanted]
    if promise.kind == "tags":
        left = ["images without any of the named tags"]
    if left and OTHERS not in wanted:
        notes.append(f"no model for {', '.join(left)}: no score there, the reason {NO_ROUTE}")
    return Route(classifier, scorers, named, tuple(notes))


def _parse(text: str, labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield label and model; a label that is known may hold the marks that part the list."""
    rest = text
    while rest:
        known = [label for label in (*labels, OTHERS) if rest.startswith(f"{label}:")]
        label = max(known, key=len) if known else rest.partition(":")[0]
        after = rest[len(label) + 1 :]
        model, comma, rest = after.partition(",")
        if not label or not model or (comma and not rest):
            raise UsageError("bad-route", f"{text!r} is no list of labels and models", hint=HINT)
        yield label.strip(), model.strip()


def score_routed(
    store: Store,
    source: Source,
    route: Route,
    report: ScoreReport,
    progress: Progress,
    *,
    members: bool = False,
) -> Iterator[ScoreBlock]:
    """Score a source, each image by the head that the classifier chooses for it.

    Yields
    ------
    ScoreBlock
        The column ``score``, and ``route`` among the texts: what the classifier says. With
        `members` also all that each head says, as `score.score` gives it for several models.
    """
    models = _apart(route.models)
    columns = columns_of(models)
    inner = ScoreReport()
    for block in score(store, source, models, inner, progress, members=members):
        labels = _labels(route, columns[0], block)
        chosen, reasons = _choose(route, columns[1:], block, labels)
        kept = block.scores if members else {}
        report.n_scored += sum(not reason for reason in reasons)
        report.reasons.update(reason for reason in reasons if reason)
        yield ScoreBlock(block.files, {"score": chosen, **kept}, reasons, {"route": labels})


def _apart(models: Sequence[Model]) -> list[Model]:
    """Give models that are called alike names of their own, as each needs a column."""
    names = [model.name for model in models]
    return [
        replace(model, name=f"{model.name}.{at}" if model.name in names[:at] else model.name)
        for at, model in enumerate(models)
    ]


def _labels(route: Route, column: str, block: ScoreBlock) -> list[str]:
    """Return the classifier's label of each image, empty where it has no answer."""
    promise = route.classifier.taste.promise
    main = block.scores[column]
    if promise.kind == "probability":
        labels: tuple[str, ...] = (YES, NO)
        at = np.where(main >= EVEN, 0, 1)
    else:
        labels = promise.names
        shares = np.stack([block.scores[f"{column}.{name}"] for name in labels])
        if promise.kind == "tags":  # any number may hold, and only those that are named matter
            unnamed = [place for place, name in enumerate(labels) if name not in route.named]
            shares[unnamed] = -1.0
            labels = (*labels, NO_TAG)
            shares = np.concatenate([shares, np.where(np.isnan(main), np.nan, EVEN)[None]])
        at = np.argmax(np.where(np.isnan(shares), -1.0, shares), axis=0)
    answered = ~np.isnan(main)
    return [labels[place] if known else "" for place, known in zip(at, answered, strict=True)]


def _choose(
    route: Route, columns: Sequence[str], block: ScoreBlock, labels: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the score that counts for each image, and why there is none."""
    others = route.named.get(OTHERS, -1)
    places = np.array([route.named.get(label, others) for label in labels], dtype=np.int64)
    scores = np.stack([block.scores[column] for column in columns])
    chosen = np.where(places >= 0, scores[places, np.arange(len(places))], np.nan)
    known = [bool(label) for label in labels]
    chosen[~np.array(known, dtype=bool)] = np.nan
    reasons = []
    for value, place, is_known, before in zip(
        chosen.tolist(), places.tolist(), known, block.reasons, strict=True
    ):
        if value == value:  # noqa: PLR0124 - not NaN: what another head lacks does not matter
            reasons.append("")
        elif is_known and place < 0:
            reasons.append(NO_ROUTE)
        else:
            reasons.append(before or NOT_EMBEDDED)
    return chosen, reasons
