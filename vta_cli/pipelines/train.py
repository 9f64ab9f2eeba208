"""Learn a taste: labels become keys, keys become vectors, vectors and targets become a head."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vta_cli
from vta_cli.errors import UsageError
from vta_cli.heads.taste import Taste
from vta_cli.heads.train import train_binary
from vta_cli.labels.merge import Judged, merge
from vta_cli.labels.records import LabelSet
from vta_cli.neighbors.groups import components
from vta_cli.neighbors.join import self_join
from vta_cli.pipelines.embed import EmbedReport, embed
from vta_cli.pipelines.lanes import Lane, key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import SUFFIX
from vta_cli.pipelines.sources import Known, Source, known_refs
from vta_cli.records import KEY_BYTES, Skip, TrainReport, Vectors
from vta_cli.store.store import Store

NEAR_COPY = 0.98
"""Mean cosine from which two labelled images share a fold."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    name: str = "taste"
    head: str = "ensemble"
    n_folds: int = 5
    seed: int = 0
    embed_missing: bool = True
    on_conflict: str = "error"
    out: Path | None = None


@dataclass(frozen=True)
class Trained:
    """A saved head: where it is, what is known of it, what was left out on the way."""

    path: Path
    taste: Taste
    report: TrainReport
    skips: tuple[Skip, ...]
    notes: tuple[str, ...]
    embedded: EmbedReport | None
