"""Late pooling against a plain oracle, and training on views: learnt by view, judged by image."""

import numpy as np
import pytest

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.pooling import POOLS, Pooled, check_pool
from vta_cli.heads.train import train_binary
from vta_cli.heads.train_kinds import train_kind
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

DIM, N, V = 6, 40, 5
WAYS = {"mean": np.mean, "median": np.median, "max": np.max, "min": np.min}


def vectors(n=N, seed=0):
    """Return vectors of images with five views."""
    return np.random.default_rng(seed).normal(size=(n, V, DIM)).astype(np.float32)


def head_of(n_out, promise, output="plain"):
    """Return a layered head with random weights."""
    weight = np.random.default_rng(9).normal(size=(n_out, DIM))
    layer = Layer("affine", weight, np.zeros(n_out))
    return LayeredHead((layer,), output, promise, (DIM,), normalise=False)


@pytest.mark.parametrize("pool", POOLS)
def test_a_rating_is_pooled_over_the_views(pool):
    """The head is applied to each view by itself; then their scores become one."""
    head, x = head_of(1, Promise("rating")), vectors()
    wanted = [WAYS[pool]([head.score([view[None]])[0] for view in image]) for image in x]
    score, beside = Pooled(head, pool).answer([x])
    assert score == pytest.approx(np.array(wanted), abs=1e-12)
    assert beside == {}


@pytest.mark.parametrize("pool", POOLS)
def test_classes_are_pooled_one_by_one(pool):
    """Each class's probability by itself; the score is the largest chosen one after that."""
    promise = Promise("classes", names=("a", "b", "c"), chosen=(1, 2))
    head, x = head_of(3, promise, "softmax"), vectors()
    score, each = Pooled(head, pool).answer([x])
    for name in promise.names:
        views = head.answer([x.reshape(-1, DIM)])[1][name].reshape(N, V)
        assert each[name] == pytest.approx(WAYS[pool](views, axis=1), abs=1e-12)
    assert np.array_equal(score, np.maximum(each["b"], each["c"]))
    total = sum(each.values())
    assert (total == pytest.approx(1)) == (pool == "mean"), "max makes several high at once"
    chosen = Pooled(head, pool).with_chosen([0])
    assert np.array_equal(chosen.score([x]), each["a"])


@pytest.mark.parametrize("pool", POOLS)
def test_bins_are_pooled_before_mean_and_sd(pool):
    """The spread between the views is part of the standard deviation."""
    promise = Promise("distribution", 1.0, 4.0, values=(1.0, 2.0, 3.0, 4.0))
    head, x = head_of(4, promise, "softmax"), vectors()
    bins = np.stack(list(head.members([x.reshape(-1, DIM)]).values()), axis=1).reshape(N, V, 4)
    bins = WAYS[pool](bins, axis=1)
    bins = bins / bins.sum(axis=1, keepdims=True)
    values = np.array(promise.values)
    mean = bins @ values
    pooled = Pooled(head, pool)
    score, beside = pooled.answer([x])
    assert score == pytest.approx(mean, abs=1e-12)
    assert beside["sd"] == pytest.approx(np.sqrt(bins @ values**2 - mean**2), abs=1e-9)
    assert pooled.members([x])["bin.3"] == pytest.approx(bins[:, 2], abs=1e-12)
    if pool == "mean":
        narrow = head.answer([x.reshape(-1, DIM)])[1]["sd"].reshape(N, V).mean(axis=1)
        assert (beside["sd"] > narrow).all()


def test_equal_views_score_like_one():
    """A small picture, whose whole view stands for all five, scores as it does alone."""
    head, x = head_of(1, Promise("rating")), vectors()[:, :1]
    alone = head.score([x[:, 0]])
    for pool in POOLS:
        assert Pooled(head, pool).score([np.repeat(x, V, axis=1)]) == pytest.approx(alone, abs=1e-9)


def test_spaces_with_other_numbers_of_views():
    """A single vector stands for all views; three and five views do not go together."""
    weight = np.ones((1, 2 * DIM))
    layer = Layer("affine", weight, np.zeros(1))
    head = LayeredHead((layer,), "plain", Promise("rating"), (DIM, DIM), normalise=False)
    x, whole = vectors(), vectors()[:, 0]
    wanted = x.sum(axis=2).mean(axis=1) + whole.sum(axis=1)
    assert Pooled(head).score([x, whole]) == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(HeadError, match="views"):
        Pooled(head).score([x, x[:, :3]])
    with pytest.raises(UsageError, match="no pooling"):
        check_pool("sum")


def clues(n, seed, *, strength):
    """Return images in which one random view shows what the label is; the others are noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, V, DIM)).astype(np.float32)
    y = np.arange(n) % 2
    x[..., 0] += strength * (2 * y - 1)[:, None]
    return x, y.astype(np.int8)


def test_binary_heads_learn_by_view_and_are_judged_by_image():
    """As many scores as images; averaging five noisy looks beats one look."""
    x, y = clues(120, 3, strength=0.7)
    taste, report = train_binary([x], y, head="logistic", normalise=False)
    assert report.oof_scores.shape == (120,)
    assert (report.n_positive, report.n_negative, report.n_groups) == (60, 60, 120)
    _, one = train_binary([x[:, 0]], y, head="logistic", normalise=False)
    assert report.members[-1].auc.value > one.members[-1].auc.value + 0.05
    new, truth = clues(400, 4, strength=0.7)
    right = (Pooled(taste).score([new]) >= 0.5) == truth
    assert abs(right.mean() - report.members[-1].accuracy.value) < 0.08, "the report is honest"


def test_views_of_an_image_never_part():
    """Labels are noise, but views of an image are alike: the figures must not see through that."""
    random = np.random.default_rng(5)
    x = np.repeat(random.normal(size=(100, 1, 40)), V, axis=1).astype(np.float32)
    x += random.normal(size=x.shape).astype(np.float32) * 0.01
    y = random.permutation(np.arange(100) % 2).astype(np.int8)
    _, report = train_binary([x], y, head="knn", normalise=False)
    assert report.members[-1].auc.value < 0.68
    wanted = Wanted("scores", y.astype(np.float64), np.ones(100))
    _, found = train_kind([x], wanted, normalise=False)
    figures = {figure.name: figure.found.value for figure in found.figures}
    assert figures["SRCC"] < 0.4


def test_equal_views_change_no_kind_of_head():
    """Five times the same vector teaches what one does."""
    x = vectors(60)[:, 0]
    y = x[:, 0].astype(np.float64)
    wanted = Wanted("scores", y, np.ones(60))
    one, first = train_kind([x], wanted, normalise=False)
    five, second = train_kind([np.repeat(x[:, None], V, axis=1)], wanted, normalise=False)
    assert (first.n_labels, first.n_groups) == (second.n_labels, second.n_groups)
    assert five.score([x]) == pytest.approx(one.score([x]), abs=0.05)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("classes", {"names": ("no", "yes")}),
        ("ordinal", {"values": (0.0, 1.0)}),
        ("tags", {"names": ("it",)}),
        ("histograms", {"values": (1.0, 2.0)}),
    ],
)
def test_every_kind_learns_by_view(kind, more):
    """Figures count images, and what is learnt is found again in new ones."""
    x, y = clues(80, 6, strength=1.0)
    y = y.astype(np.int64)
    targets = {
        "tags": y[:, None].astype(np.int8),
        "histograms": np.stack([1.0 - 0.8 * y, 0.8 * y], axis=1),
    }.get(kind, y)
    wanted = Wanted(kind, targets, np.ones(80), **more)
    if kind == "classes":
        wanted = Wanted(kind, targets, np.ones(80), chosen=(1,), **more)
    head, report = train_kind([x], wanted, normalise=False)
    assert (report.n_labels, report.n_groups) == (80, 80)
    assert len(report.suspects) == 80
    new, truth = clues(100, 7, strength=1.0)
    score = Pooled(head).score([new])
    assert score[truth == 1].mean() > score[truth == 0].mean() + 0.1


def test_a_handful_of_labels_gives_no_figures_but_a_head():
    """Two near-copies a side: nothing can be held back, with views as without."""
    x, y = clues(4, 8, strength=2.0)
    taste, report = train_binary([x], y, groups=np.array([0, 1, 0, 1]), normalise=False)
    assert np.isnan(report.oof_scores).all()
    score = Pooled(taste).score([x])
    assert score[y == 1].min() > score[y == 0].max()


def test_pairs_of_views_are_refused():
    """Nobody said which tile won."""
    wanted = Wanted("pairs", np.ones(8), np.ones(8), pairs=np.arange(16).reshape(8, 2))
    with pytest.raises(UsageError, match="whole pictures"):
        train_kind([vectors(16)], wanted)
