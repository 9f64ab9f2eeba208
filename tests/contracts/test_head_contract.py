"""What every head of the registry must do."""

import numpy as np
import pytest

from vta_cli.heads.blocks import pieces
from vta_cli.heads.design import make_design
from vta_cli.heads.folds import make_folds
from vta_cli.heads.metrics import auc
from vta_cli.heads.mlp import Mlp
from vta_cli.heads.registry import FEWEST_LABELS, HEADS, MEMBERS, NETWORKS, PARTS, resolve
from vta_cli.heads.taste import Taste
from vta_cli.heads.train import train_binary

SMALL = {"hidden": 16, "down": [8, 8, 8], "lr": 0.01, "epochs": 15, "batch": 16}


def made(member):
    """Return a fitter; those that learn by gradients in a size that takes a second."""
    return Mlp(SMALL) if member in NETWORKS else resolve(MEMBERS[member])()


def train(blocks, targets, head, **more):
    network = made(head) if head in NETWORKS else None
    return train_binary(blocks, targets, head=head, network=network, **more)


@pytest.fixture(autouse=True)
def _torch(request):
    params = getattr(request.node, "callspec", None)
    if params is not None and set(params.params.values()) & set(NETWORKS):
        pytest.importorskip("torch", reason="needs the extra nets")


def draw(n, seed, dim=30):
    random = np.random.default_rng(seed)
    targets = (np.arange(n) % 2).astype(np.int8)
    x = random.normal(size=(n, dim)).astype(np.float32)
    x[:, :3] += 1.6 * (targets[:, None] - 0.5)
    return [x[:, :20].copy(), x[:, 20:].copy()], targets


def test_the_tables_agree():
    assert set(FEWEST_LABELS) == set(MEMBERS)
    assert {member for members in HEADS.values() for member in members} <= set(MEMBERS)
    assert all(resolve(target).kind == kind for kind, target in PARTS.items())
    assert all(resolve(target).name == name for name, target in MEMBERS.items())


@pytest.mark.parametrize("head", list(HEADS))
def test_a_head_learns_and_survives_saving(head, tmp_path):
    blocks, targets = draw(80, 0)
    new, new_targets = draw(600, 1)

    taste, report = train(blocks, targets, head)
    taste.save(tmp_path / "head.safetensors")
    scores = taste.score(new)

    assert auc(scores, new_targets)[0] > 0.75
    assert np.all((scores > 0) & (scores < 1))
    assert np.array_equal(Taste.load(tmp_path / "head.safetensors").score(new), scores)
    assert report.members[-1].name == head
    assert report.members[-1].auc.value > 0.7
    assert report.n_positive == report.n_negative == 40


@pytest.mark.parametrize("head", list(HEADS))
def test_a_head_scores_each_row_alone(head):
    blocks, targets = draw(60, 2)
    taste, _ = train(blocks, targets, head)
    new, _ = draw(300, 3)

    whole = taste.score(new)

    for row in (0, 7, 299):
        assert np.array_equal(taste.score([b[row : row + 1] for b in new]), whole[row : row + 1])


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("n", [4, 7, 9, 16, 41])
def test_a_head_manages_with_few_labels(head, n):
    blocks, targets = draw(n, n)

    taste, report = train(blocks, targets, head)

    assert np.isfinite(taste.score(blocks)).all()
    assert report.oof_scores.shape == (n,)
    assert report.notes


@pytest.mark.parametrize("head", list(HEADS))
def test_a_head_is_deterministic(head, tmp_path):
    blocks, targets = draw(50, 4)

    for name in ("a", "b"):
        train(blocks, targets, head, seed=7)[0].save(tmp_path / name)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("member", list(MEMBERS))
def test_out_of_fold_scores_never_saw_their_fold(member):
    """Turning the labels of one fold round must not move the scores of that fold."""
    blocks, targets = draw(60, 5)
    design = make_design(blocks)
    folds = make_folds(targets, np.arange(60), 5, 1, 0)
    turned = targets.copy()
    held = folds[0] == 2
    turned[held] = 1 - turned[held]

    plain = made(member).fit(design, targets, np.ones(60), folds, 0).raw_oof[0, held]
    other = made(member).fit(design, turned, np.ones(60), folds, 0).raw_oof[0, held]

    # the choice of a penalty or width may differ (see `choice`), the fits behind it may not
    assert np.corrcoef(plain, other)[0, 1] > 0.95


@pytest.mark.parametrize("member", list(MEMBERS))
def test_many_rows_take_the_same_way(member):
    """Beyond `GRAM_ROWS` the fitters take other routes; they must learn as well there."""
    blocks, targets = draw(1_400, 6, dim=40)
    design = make_design(blocks)
    folds = make_folds(targets, np.arange(1_400), 3, 1, 0)
    new, new_targets = draw(500, 7, dim=40)

    fitted = made(member).fit(design, targets, np.ones(1_400), folds, 0)
    raws = [fitted.part.raw(rows) for _, rows in pieces(new, design.columns)]

    assert not design.small
    assert auc(fitted.raw_oof[0], targets)[0] > 0.8
    assert auc(np.concatenate(raws)[:500], new_targets)[0] > 0.8
