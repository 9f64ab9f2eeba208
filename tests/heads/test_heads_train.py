"""Training end to end: honest figures, tiny sets, groups, weights, errors, determinism."""

import numpy as np
import pytest

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.metrics import auc
from vta_cli.heads.train import train_binary


def draw(n, seed, apart=1.5, dim=40, share=0.5):
    """Rows whose first columns differ between the sides."""
    random = np.random.default_rng(seed)
    targets = (np.arange(n) < round(share * n)).astype(np.int8)
    x = random.normal(size=(n, dim))
    x[:, :4] += apart * (targets[:, None] - 0.5)
    return x.astype(np.float32), targets


def test_the_out_of_fold_auc_foretells_the_auc_on_new_rows():
    expected, found = [], []
    for seed in range(6):
        x, targets = draw(80, seed)
        new, new_targets = draw(1000, 100 + seed)
        taste, report = train_binary([x], targets, seed=seed)
        expected.append(report.members[-1].auc.value)
        found.append(auc(taste.score([new]), new_targets)[0])

    assert np.mean(found) > 0.85
    assert np.mean(expected) == pytest.approx(np.mean(found), abs=0.04)


def test_scores_are_calibrated_on_new_rows():
    scores, truth = [], []
    for seed in range(6):
        x, targets = draw(100, seed, apart=1.0)
        new, new_targets = draw(1000, 100 + seed, apart=1.0)
        scores.append(train_binary([x], targets, seed=seed)[0].score([new]))
        truth.append(new_targets)
    scores, truth = np.concatenate(scores), np.concatenate(truth)

    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (scores >= low) & (scores < low + 0.2)
        assert truth[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.1)


def test_random_labels_earn_no_praise():
    values = []
    for seed in range(8):
        x, targets = draw(60, seed, apart=0.0)
        _, report = train_binary([x], targets, seed=seed)
        values.append(report.members[-1].auc.value)
        assert report.trust in ("none", "low")
        assert not report.margins.right_reached

    assert np.mean(values) == pytest.approx(0.5, abs=0.08)


def test_copies_without_groups_flatter_and_with_groups_do_not():
    x, targets = draw(40, 3, apart=0.0)
    copies = np.tile(x, (4, 1)) + np.float32(0.01)
    many = np.tile(targets, 4)
    groups = np.tile(np.arange(40), 4)

    naive = train_binary([copies], many)[1]
    honest = train_binary([copies], many, groups=groups)[1]

    assert naive.members[-1].auc.value > 0.9
    assert honest.members[-1].auc.value < 0.75
    assert honest.n_groups == 40
    assert honest.trust in ("none", "low")


@pytest.mark.parametrize(("n_positive", "n_negative"), [(2, 2), (2, 3), (3, 3), (2, 30), (50, 2)])
def test_a_handful_of_labels_orders_roughly_and_claims_little(n_positive, n_negative):
    n = n_positive + n_negative
    targets = (np.arange(n) < n_positive).astype(np.int8)
    random = np.random.default_rng(n)
    x = random.normal(size=(n, 60)).astype(np.float32) * 0.3
    x[:, 0] += targets * 2.0
    new, new_targets = draw(400, 9, dim=60)
    new *= 0.3
    new[:, 0] += new_targets * 2.0

    taste, report = train_binary([x], targets)
    scores = taste.score([new])

    assert auc(scores, new_targets)[0] > 0.8
    assert report.trust == "none"
    assert any("decent start" in note for note in report.notes)
    prior = (n_positive + 0.25) / (n + 0.5)
    assert scores.min() < prior < scores.max()
    if n <= 6:
        assert scores.min() > 0.02
        assert scores.max() < 0.98


def test_two_groups_leave_nothing_to_hold_back():
    x, targets = draw(6, 1)

    _, report = train_binary([x], targets, groups=targets.astype(np.int64))

    assert (report.n_folds, report.n_repeats) == (0, 0)
    assert np.isnan(report.oof_scores).all()
    assert np.isnan(report.members[-1].auc.value)
    assert report.thresholds == ()
    assert report.trust == "none"
    assert any("nothing could be held back" in note for note in report.notes)


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (1, 5), (5, 1), (0, 0)])
def test_too_few_labels_are_a_misuse_with_a_remedy(sides):
    targets = np.repeat([1, 0], sides).astype(np.int8)

    with pytest.raises(UsageError) as caught:
        train_binary([np.ones((len(targets), 3), np.float32)], targets)

    assert caught.value.slug == "too-few-labels"
    assert f"{sides[0]} positive and {sides[1]} negative" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "error", "slug"),
    [
        ({"head": "logistics"}, UsageError, "unknown-head"),
        ({"n_folds": 1}, UsageError, "bad-option"),
        ({"n_repeats": 0}, UsageError, "bad-option"),
        ({"ratio": 1.0}, UsageError, "bad-option"),
        ({"weights": np.zeros(20)}, HeadError, "bad-weights"),
        ({"weights": np.ones(19)}, HeadError, "wrong-vectors"),
        ({"groups": np.zeros(21, dtype=np.int64)}, HeadError, "wrong-vectors"),
    ],
)
def test_bad_options_are_refused(change, error, slug):
    x, targets = draw(20, 0)

    with pytest.raises(error) as caught:
        train_binary([x], targets, **change)

    assert caught.value.slug == slug


def test_an_unknown_head_gets_the_nearest_name():
    with pytest.raises(UsageError) as caught:
        train_binary([np.ones((4, 3), np.float32)], np.array([0, 0, 1, 1], np.int8), head="logitic")

    assert "logistic" in caught.value.hint


def test_vectors_that_are_not_finite_are_refused():
    x, targets = draw(20, 0)
    x[7, 3] = np.inf

    with pytest.raises(HeadError) as caught:
        train_binary([x], targets)

    assert caught.value.slug == "bad-vectors"
    assert "7" in caught.value.message


def test_the_same_input_gives_the_same_file(tmp_path):
    x, targets = draw(60, 4)

    for name in ("a", "b"):
        train_binary([x], targets, seed=3)[0].save(tmp_path / name)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_probabilities_follow_the_proportion_of_the_labels():
    new, _ = draw(1000, 50, apart=0.6)
    x, targets = draw(300, 5, apart=0.6, share=0.2)

    scores = train_binary([x], targets)[0].score([new[500:]])

    assert scores.mean() == pytest.approx(0.2, abs=0.12)


def test_heavier_labels_pull_harder():
    random = np.random.default_rng(6)
    x = random.normal(size=(80, 5)).astype(np.float32)
    targets = (x[:, 0] > 0).astype(np.int8)
    wrong = np.arange(80) < 20
    targets[wrong] = 1 - targets[wrong]
    light = np.where(wrong, 0.01, 1.0)

    plain = train_binary([x], targets, head="logistic")[0].score([x])
    weighted = train_binary([x], targets, head="logistic", weights=light)[0].score([x])

    truth = (x[:, 0] > 0).astype(np.int8)
    assert auc(weighted, truth)[0] > auc(plain, truth)[0]


def test_each_space_counts_alike_however_long_its_vectors_are():
    x, targets = draw(60, 7)
    noise = np.random.default_rng(8).normal(size=(60, 40)).astype(np.float32)

    loud = train_binary([x, noise * 1000], targets)[0].score([x, noise * 1000])
    quiet = train_binary([x, noise], targets)[0].score([x, noise])

    assert loud == pytest.approx(quiet, abs=1e-3)


def test_a_useless_member_is_left_out_and_reported():
    x, targets = draw(400, 10, apart=1.0, dim=200)
    taste, report = train_binary([x], targets)

    weights = {m.name: m.weight for m in report.members[:-1]}
    assert sum(weights.values()) == pytest.approx(1.0)
    assert set(taste.shares) == {name for name, weight in weights.items() if weight > 0}
    assert report.members[-1].weight is None
    assert report.members[-1].name == "ensemble"


def test_duplicate_and_constant_rows_do_not_break():
    x = np.ones((30, 8), np.float32)
    targets = np.tile([0, 1], 15).astype(np.int8)

    taste, report = train_binary([x], targets)

    assert report.trust == "none"
    assert taste.score([x]) == pytest.approx(np.full(30, 0.5), abs=0.05)


def test_progress_tells_each_step():
    x, targets = draw(50, 0)
    steps = []

    train_binary([x], targets, progress=lambda *step: steps.append(step))

    names = [step[0] for step in steps]
    assert names[-1] == "judge"
    assert "logistic" in names
    assert [step[1] for step in steps] == list(range(len(steps)))
    assert {step[2] for step in steps} == {len(steps)}


@pytest.mark.slow
def test_twenty_thousand_rows_stay_linear_in_memory():
    import resource

    x, targets = draw(20_000, 0, apart=0.5, dim=768)
    _, report = train_binary([x], targets)

    assert report.members[-1].auc.value > 0.6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20  # kB
