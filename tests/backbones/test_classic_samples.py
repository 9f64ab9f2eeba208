"""The classic backbone on the sample data beside the checkout, where that is present."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import rankdata

from vta_cli.backbones import classic

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no sample data beside the checkout")


def embed(files):
    backbone = classic.load()
    pictures = (np.asarray(Image.open(file).convert("RGB")) for file in files)
    rows = np.concatenate([backbone.embed([pixels]) for pixels in pictures])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def auc(scores, positive):
    ranks, n = rankdata(scores), positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum())


def test_the_portraits_are_told_apart():
    folders = [DATA / "portraits" / name for name in ("positive", "negative")]
    files = [sorted(folder.glob("*.jpg"))[:40] for folder in folders]
    rows = embed([file for part in files for file in part])
    positive = np.arange(len(rows)) < len(files[0])
    fold = np.random.default_rng(0).permutation(len(rows)) % 5
    scores = np.empty(len(rows))
    for k in range(5):  # ridge with a fixed, plain penalty
        train, test = fold != k, fold == k
        centre = rows[train].mean(axis=0)
        left, right = rows[train] - centre, rows[test] - centre
        gram = left @ left.T + 0.3 * np.eye(len(left))
        scores[test] = right @ left.T @ np.linalg.solve(gram, positive[train] - 0.5)

    assert auc(scores, positive) > 0.9


def test_gentle_edits_stay_together_and_other_photographs_apart():
    with (DATA / "neardup_made" / "groups.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["file"].endswith(".jpg")]
    gentle = {"original", "jpeg_q75", "jpeg_progressive", "byte_copy", "crop_3"}
    kept = [row for row in rows if row["relation"] in gentle][:60]
    vectors = embed([DATA / "neardup_made" / row["file"] for row in kept])
    group = np.array([row["group"] for row in kept])
    once = np.triu(np.ones((len(kept), len(kept)), dtype=bool), 1)
    same = (group[:, None] == group) & once
    similar = vectors @ vectors.T

    assert same.sum() >= 5
    assert similar[same].min() > 0.95
    assert similar[(group[:, None] != group) & once].max() < 0.85
