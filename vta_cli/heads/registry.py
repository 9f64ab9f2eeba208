"""Names of heads, of the members that they consist of, and of applied parts: tables of strings.

To add a head: one file with a fitter (`protocol.Fitter`) and its lines in the tables below.
"""

import importlib
from typing import Any

MEMBERS = {
    "centroid": "vta_cli.heads.centroid:Centroid",
    "logistic": "vta_cli.heads.logistic:Logistic",
    "kernel": "vta_cli.heads.kernel:Kernel",
    "knn": "vta_cli.heads.knn:Nearest",
    "boosting": "vta_cli.heads.boosting:Boosting",
    "mlp": "vta_cli.heads.mlp:Mlp",
}
"""Ways to learn; each loads its heavy packages when it is resolved, never before."""

HEADS = {
    "centroid": ("centroid",),
    "logistic": ("logistic",),
    "kernel": ("kernel",),
    "knn": ("knn",),
    "boosting": ("boosting",),
    "mlp": ("mlp",),
    "ensemble": ("logistic", "kernel", "knn", "boosting"),
}
"""Heads by name, with the members that may take part. None is forced in."""

STAND_IN = "centroid"
"""The head that takes over where the wanted one has too few labels."""

FEWEST_LABELS = {"centroid": 1, "logistic": 4, "kernel": 4, "knn": 4, "boosting": 20, "mlp": 4}
"""Independent labels a side from which a member makes sense."""

FEWEST_TOGETHER = FEWEST_LABELS | {"knn": 150}
"""The same beside other members: on 10 to 100 labels a side the votes of near templates are worse
than any other member (by .014 and more of AUC, portraits apart), and the ensemble is better without
them (on 50 and 100 a side by .0005 and .0008 of the draws kept for such choices: docs/heads.md)."""

PRIOR_WEIGHTS = {
    "centroid": 1.0,
    "logistic": 2.0,
    "kernel": 3.0,
    "knn": 0.5,
    "boosting": 1.0,
    "mlp": 1.0,
}
"""What members weigh in an ensemble before their out-of-fold scores speak: their worth on the sets
of `benchmarks/heads_vs_original`, rounded (1 or 3 for logistic: within .0002)."""

PARTS = {
    "linear": "vta_cli.heads.parts:LinearPart",
    "radial": "vta_cli.heads.parts:RadialPart",
    "neighbours": "vta_cli.heads.parts:NearestPart",
    "trees": "vta_cli.heads.trees:TreesPart",
    "network": "vta_cli.heads.network_part:NetworkPart",
}
"""Applied parts by kind; numpy alone."""


LEARNERS = {
    "ridge": "vta_cli.heads.regression:Ridge",
    "ordinal": "vta_cli.heads.ordinal:Ordinal",
    "softmax": "vta_cli.heads.softmax:Softmax",
    "tags": "vta_cli.heads.tagging:Tagging",
    "distribution": "vta_cli.heads.distribution:Distribution",
    "pairs": "vta_cli.heads.duels:Duels",
}
"""Heads for judgements that are not yes or no; see `learner.Learner`."""

NETWORKS = ("mlp",)
"""Heads that learn by gradients, and take settings."""

NETWORK_FIT = "vta_cli.heads.network_fit"
"""The one module of the room that imports torch."""

KIND_HEADS = {
    "scores": ("ridge", "mlp"),
    "ordinal": ("ordinal", "ridge", "mlp"),
    "classes": ("softmax", "mlp"),
    "tags": ("tags",),
    "histograms": ("distribution", "ridge", "mlp"),
    "pairs": ("pairs",),
}
"""Kind of judgement to the heads that learn it, the default first."""


def resolve(target: str) -> Any:
    """Return the object that ``module:attribute`` names, or the module if there is no attribute."""
    module, _, attribute = target.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
