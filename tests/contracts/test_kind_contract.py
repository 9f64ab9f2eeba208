"""What every head for judgements that are not yes or no must do."""

import functools

import numpy as np
import pytest

from vta_cli.errors import UsageError
from vta_cli.heads.layered import OUTPUTS, LayeredHead
from vta_cli.heads.network import Settings
from vta_cli.heads.registry import KIND_HEADS, LEARNERS, NETWORKS, resolve
from vta_cli.heads.saved import load_head
from vta_cli.heads.train_kinds import Gradients, train_kind
from vta_cli.heads.wanted import Wanted

N = 60
CASES = [(kind, head) for kind, heads in KIND_HEADS.items() for head in heads]
LINEAR = [(kind, head) for kind, head in CASES if head in LEARNERS]
SMALL = Gradients(Settings(hidden=16, down=(8, 8, 8), lr=0.01, epochs=20))
"""So that the heads that learn by gradients take a second; they need more rows than others."""


def rows_for(head):
    return 5 * N if head in NETWORKS else N


def draw(kind, *, n=N, seed=0, dim=24):
    """Rows in which one direction is what is judged, and the judgements of a kind."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, dim)).astype(np.float32)
    truth = x[:, 0] - 0.5 * x[:, 1]
    one = np.ones(n)
    rank = np.searchsorted([-0.7, 0.7], truth)
    if kind == "scores":
        wanted = Wanted(kind, 20.0 + 3.0 * truth.astype(np.float64), one)
    elif kind == "ordinal":
        wanted = Wanted(kind, rank, one, values=(0.0, 1.0, 4.0))
    elif kind == "classes":
        wanted = Wanted(kind, rank, one, names=("low", "middle", "high"), chosen=(2,))
    elif kind == "tags":
        states = np.stack([truth > 0, x[:, 2] > 0.3], axis=1).astype(np.int8)
        states[::7, 1] = -1
        wanted = Wanted(kind, states, one, names=("good", "else"), chosen=(0,))
    elif kind == "histograms":
        bins = np.arange(1.0, 6.0)
        votes = np.exp(-((bins - 3.0 - truth[:, None]) ** 2))
        wanted = Wanted(kind, votes / votes.sum(axis=1, keepdims=True), one, values=tuple(bins))
    else:
        pairs = np.stack([np.arange(n), (np.arange(n) * 7 + 3) % n], axis=1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        won = (truth[pairs[:, 0]] > truth[pairs[:, 1]]).astype(np.float64)
        wanted = Wanted(kind, won, np.ones(len(won)), pairs=pairs)
    return [x[:, :10].copy(), x[:, 10:].copy()], wanted, truth


@functools.cache
def fit(kind, head):
    """Fit a head to what `draw` gives, once."""
    blocks, wanted, _ = draw(kind, n=rows_for(head))
    return train_kind(blocks, wanted, head=head, normalise=False, gradients=SMALL)


@pytest.fixture(autouse=True)
def _torch(request):
    params = getattr(request.node, "callspec", None)
    if params is not None and params.params.get("head") in NETWORKS:
        pytest.importorskip("torch", reason="needs the extra nets")


def test_the_tables_agree():
    assert {head for _, head in CASES} == set(LEARNERS) | set(NETWORKS)
    for kind, head in LINEAR:
        learner = resolve(LEARNERS[head])()
        assert learner.name == head
        promise = learner.promise(draw(kind)[1])
        assert learner.output in OUTPUTS[promise.kind]


@pytest.mark.parametrize(("kind", "head"), CASES)
def test_a_head_learns_and_survives_saving(kind, head, tmp_path):
    wanted = draw(kind, n=rows_for(head))[1]
    new, _, truth = draw(kind, n=400, seed=1)

    fitted, report = fit(kind, head)
    fitted.save(tmp_path / "head.safetensors")
    loaded = load_head(tmp_path / "head.safetensors")
    score, beside = fitted.answer(new)
    again, beside_again = loaded.answer(new)

    assert isinstance(loaded, LayeredHead)
    assert loaded.promise == fitted.promise
    assert np.corrcoef(score, truth)[0, 1] > 0.7
    assert np.array_equal(score, again)
    assert all(np.array_equal(beside[name], beside_again[name]) for name in beside)
    if fitted.promise.bounded:
        assert np.all((score >= fitted.promise.low) & (score <= fitted.promise.high))
    assert report.head == head
    assert len(report.suspects) == len(wanted.y)


@pytest.mark.parametrize(("kind", "head"), CASES)
def test_a_head_beats_the_base_rate(kind, head):
    report = fit(kind, head)[1]

    figures = {figure.name: figure for figure in report.figures}
    sure = [f for f in figures.values() if f.name in ("MAE", "EMD", "accuracy", "log loss", "AUC")]
    assert sure
    for figure in sure:
        better = 1 if figure.better == "high" else -1
        assert better * (figure.found.value - figure.base) > 0, figure
        assert figure.found.low <= figure.found.value <= figure.found.high


@pytest.mark.parametrize(("kind", "head"), CASES)
def test_a_head_finds_nothing_in_noise(kind, head):
    """Judgements that have nothing to do with the rows: no figure is clearly above the base."""
    _, wanted, _ = draw(kind, n=rows_for(head))
    blocks = draw(kind, n=rows_for(head), seed=5)[0]

    report = train_kind(blocks, wanted, head=head, normalise=False, gradients=SMALL)[1]

    for figure in report.figures:
        if figure.name in ("SRCC", "accuracy", "AUC"):
            assert figure.found.low <= figure.base + 0.12, figure


@pytest.mark.parametrize(("kind", "head"), CASES)
def test_a_head_is_deterministic_and_scores_each_row_alone(kind, head, tmp_path):
    blocks, wanted, _ = draw(kind, n=rows_for(head))

    again = train_kind(blocks, wanted, head=head, normalise=False, gradients=SMALL)[0]
    fitted = fit(kind, head)[0]
    fitted.save(tmp_path / "a")
    again.save(tmp_path / "b")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    whole = fitted.score(blocks)
    for row in (0, 41, N - 1):
        assert fitted.score([b[row : row + 1] for b in blocks])[0] == whole[row]


@pytest.mark.parametrize(("kind", "head"), CASES)
def test_a_head_manages_with_few_labels(kind, head):
    blocks, wanted, _ = draw(kind, n=6, seed=2)

    fitted, report = train_kind(blocks, wanted, head=head, gradients=SMALL)

    assert np.isfinite(fitted.score(blocks)).all()
    assert report.notes


@pytest.mark.parametrize(("kind", "head"), LINEAR)
def test_more_columns_than_rows_take_the_same_way(kind, head):
    """With fewer rows than columns the fit happens in the space of the rows."""
    blocks, wanted, _ = draw(kind)
    extra = np.zeros((N, 60), np.float32)

    narrow = fit(kind, head)[0].score(blocks)
    wide = train_kind([*blocks, extra], wanted, head=head, normalise=False, gradients=SMALL)[0]

    assert np.allclose(wide.score([*blocks, extra]), narrow, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", [kind for kind in KIND_HEADS if kind != "pairs"])
def test_too_little_is_refused(kind):
    blocks, wanted, _ = draw(kind, n=3)

    with pytest.raises(UsageError) as caught:
        train_kind(blocks, wanted)

    assert caught.value.slug in ("too-few-labels", "one-value")


def test_other_kinds_heads_are_refused():
    blocks, wanted, _ = draw("scores")

    for head, slug in (("softmax", "wrong-head"), ("rigde", "unknown-head")):
        with pytest.raises(UsageError) as caught:
            train_kind(blocks, wanted, head=head)
        assert caught.value.slug == slug
