"""The network head: its form, its losses, early stopping, going on from a saved state."""

import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra nets")

from vta_cli.errors import HeadError, UsageError  # noqa: E402
from vta_cli.heads import mlp, network_fit  # noqa: E402
from vta_cli.heads.layered import LayeredHead  # noqa: E402
from vta_cli.heads.layers import forward  # noqa: E402
from vta_cli.heads.mlp_state import State, kept_folds  # noqa: E402
from vta_cli.heads.network import (  # noqa: E402
    Settings,
    arrays_of,
    first_arrays,
    layers_of,
    n_parameters,
    settings_of,
)
from vta_cli.heads.train import train_binary  # noqa: E402
from vta_cli.heads.train_kinds import Gradients, train_kind  # noqa: E402
from vta_cli.heads.wanted import Wanted  # noqa: E402

CITY = Settings(hidden=1024, down=(128, 64, 32))
SMALL = Settings(hidden=16, down=(8, 8, 8), lr=0.01, epochs=12)


def draw(n=150, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 12)).astype(np.float32)
    return x, x[:, 0] - 0.5 * x[:, 1]


def ids_of(n):
    return np.arange(n, dtype=np.int64).view(np.uint8).reshape(n, 8).copy()


@pytest.mark.parametrize(
    ("dim", "hidden", "n_out", "count"),
    [(768, 1024, 1, 4_077_825), (768, 1024, 2, 4_077_858), (768, 1024, 3, 4_077_891),
     (1024, 1280, 1, 6_405_377)],
)  # fmt: skip
def test_the_published_sizes(dim, hidden, n_out, count):
    settings = dataclasses.replace(CITY, hidden=hidden)
    assert n_parameters(settings, dim, n_out) == count
    assert sum(a.size for a in first_arrays(settings, dim, n_out, 0).values()) == count


def reference(arrays, x):
    """CityClassifiers' network written down once more, with torch's own modules."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, h):
            super().__init__()
            self.long = nn.Sequential(
                nn.Linear(h, h), nn.LeakyReLU(0.1), nn.Linear(h, h), nn.LeakyReLU(0.1),
                nn.Linear(h, h),
            )  # fmt: skip

        def forward(self, rows):
            return torch.relu(rows + self.long(rows))

    widths = [len(arrays[f"{n}.bias"]) for n in ("up.0", "down.0", "down.1", "down.4", "down.5")]
    h, a, b, c, o = widths
    net = nn.ModuleDict({
        "up": nn.Sequential(nn.Linear(x.shape[1], h), Block(h)),
        "down": nn.Sequential(
            nn.Linear(h, a), nn.Linear(a, b), nn.Dropout(0.1), nn.LeakyReLU(), nn.Linear(b, c),
            nn.Linear(c, o),
        ),
    })  # fmt: skip
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    net.eval()
    with torch.no_grad():
        return net["down"](net["up"](torch.from_numpy(x))).numpy()


def test_the_layers_are_the_published_network():
    arrays = first_arrays(Settings(hidden=24, down=(16, 12, 8)), 10, 3, 1)
    x = np.random.default_rng(0).normal(size=(7, 10)).astype(np.float32)
    mean, scale = np.linspace(-1, 1, 10), 2.5

    plain = forward(layers_of(arrays, np.zeros(10), 1.0), x.astype(np.float64))
    scaled = forward(layers_of(arrays, mean, scale), x.astype(np.float64))

    assert np.allclose(plain, reference(arrays, x), atol=1e-6)
    moved = ((x - mean) * scale).astype(np.float32)
    assert np.allclose(scaled, reference(arrays, moved), atol=1e-5)
    again = arrays_of(layers_of(arrays, np.zeros(10), 1.0))
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_losses_are_those_of_the_books():
    z = torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.5, -0.5]])
    shares = torch.softmax(z, dim=1)
    found = network_fit._losses(z, torch.tensor([2, 1]), "cross-entropy")
    assert torch.allclose(found, -torch.log(shares[[0, 1], [2, 1]]))  # soft-maxed once
    votes = torch.tensor([[0.0, 0.0, 1.0], [0.2, 0.3, 0.5]])
    apart = np.cumsum(shares.numpy() - votes.numpy(), axis=1)
    emd = np.sqrt((apart**2).mean(axis=1) + network_fit.ROUND)
    assert np.allclose(network_fit._losses(z, votes, "emd").numpy(), emd, atol=1e-6)
    y = torch.tensor([0.2, 0.9])
    score = (torch.tanh(z[:, 0]) + 1) / 2
    assert torch.allclose(network_fit._losses(z[:, :1], y, "l1"), (score - y).abs())
    assert torch.allclose(network_fit._losses(z[:, :1], y, "l2"), (score - y) ** 2)


def test_schedules():
    cosine = Settings(lr=1.0)
    assert network_fit.rate_at(cosine, 0, 100) == 1.0
    assert network_fit.rate_at(cosine, 50, 100) == pytest.approx(0.5)
    assert network_fit.rate_at(cosine, 100, 100) == pytest.approx(0.0)
    linear = Settings(lr=2.0, schedule="flat", warmup=5_000)
    assert network_fit.rate_at(linear, 0, 10_000) == pytest.approx(0.2)
    assert network_fit.rate_at(linear, 2_500, 10_000) == pytest.approx(1.1)
    assert network_fit.rate_at(linear, 9_000, 10_000) == pytest.approx(2.0)


def problem(n=200):
    x, truth = draw(n)
    y = ((truth - truth.min()) / np.ptp(truth)).astype(np.float32)
    return network_fit.Problem(x, y, np.ones(n, np.float32), "l1", 1)


def test_the_best_state_on_the_held_out_rows_is_kept():
    noisy = problem(60)
    noisy.y[:] = np.random.default_rng(3).random(60)
    rows, held = np.arange(40), np.arange(40, 60)
    settings = Settings(hidden=32, down=(8, 8, 8), lr=0.01, epochs=60, patience=6)

    done = network_fit.fit(noisy, rows, held, settings, 0)

    curve = done.curve
    assert curve.held[curve.best] == min(curve.held)
    assert len(curve.held) == curve.best + 1 + 6 < 60  # stopped by patience
    z = forward(layers_of(done.arrays, np.zeros(12), 1.0), noisy.x[held].astype(np.float64))
    score = (np.tanh(z[:, 0]) + 1) / 2
    assert np.abs(score - noisy.y[held]).mean() == pytest.approx(min(curve.held), rel=1e-4)


def test_steps_are_rows_seen_and_without_held_rows_the_last_state_is_kept():
    settings = Settings(hidden=8, down=(4, 4, 4), steps=70, batch=16)
    done = network_fit.fit(problem(), np.arange(30), np.arange(0), settings, 0)
    assert done.curve.samples == (30, 60, 70)
    assert done.curve.best == 2
    assert math.isnan(done.curve.held[0])
    assert done.moments.n_updates == 2 + 2 + 1


def test_going_on_takes_up_weights_and_optimiser():
    whole = problem()
    rows = np.arange(150)
    flat = Settings(hidden=8, down=(4, 4, 4), epochs=4, schedule="flat", dropout=0.0, batch=150)
    once = network_fit.fit(whole, rows, np.arange(0), flat, 0)
    half = network_fit.fit(whole, rows, np.arange(0), dataclasses.replace(flat, epochs=2), 0)
    then = network_fit.fit(
        whole, rows, np.arange(0), dataclasses.replace(flat, epochs=2), 0,
        start=half.arrays, moments=half.moments,
    )  # fmt: skip
    bare = network_fit.fit(
        whole, rows, np.arange(0), dataclasses.replace(flat, epochs=2), 0, start=half.arrays
    )
    # whole batches: the order of rows only moves the last bits
    for name, array in once.arrays.items():
        assert np.allclose(then.arrays[name], array, atol=2e-5)
    assert then.moments.n_updates == once.moments.n_updates
    assert not np.allclose(bare.arrays["up.0.weight"], once.arrays["up.0.weight"], atol=2e-5)


def test_fitting_leaves_the_callers_randomness_and_threads_alone():
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    network_fit.fit(problem(), np.arange(30), np.arange(0), SMALL, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("given", "slug"),
    [({"lrr": 1.0}, "unknown-setting"), ({"lr": "fast"}, "bad-setting"), ({"lr": 0}, "bad-setting"),
     ({"hidden": 0, "down": [8, 8, 8]}, "bad-setting"), ({"down": [8]}, "bad-setting"),
     ({"epochs": 3, "steps": 9}, "bad-setting"), ({"hidden": True}, "bad-setting"),
     ({"schedule": "step"}, "bad-setting"), ({"dropout": 1.0}, "bad-setting")],
)  # fmt: skip
def test_settings_that_make_no_sense(given, slug):
    with pytest.raises(UsageError) as caught:
        settings_of(given)
    assert caught.value.slug == slug
    assert caught.value.hint


def test_a_loss_of_scores_is_refused_for_classes():
    x, truth = draw()
    wanted = Wanted("classes", (truth > 0).astype(np.int64), np.ones(150), names=("no", "yes"))
    with pytest.raises(UsageError, match="is for scores"):
        train_kind([x], wanted, head="mlp", gradients=Gradients(settings_of({"loss": "l2"})))


def test_a_rate_that_runs_away_is_said():
    x, truth = draw()
    wild = Gradients(dataclasses.replace(SMALL, lr=1e30))
    with pytest.raises(HeadError) as caught:
        train_kind([x], Wanted("scores", truth, np.ones(150)), head="mlp", gradients=wild)
    assert caught.value.slug == "diverged"


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(mlp.importlib.util, "find_spec", lambda name: None)
    x, truth = draw()
    with pytest.raises(UsageError, match="torch") as caught:
        train_kind([x], Wanted("scores", truth, np.ones(150)), head="mlp")
    assert "vta[nets]" in caught.value.hint


def test_class_weights_lean_towards_the_heavier_class():
    x, truth = draw(300)
    noisy = truth + 2.0 * np.random.default_rng(4).normal(size=300)
    y = (noisy > 0).astype(np.int64)
    plain = Wanted("classes", y, np.ones(300), names=("no", "yes"), chosen=(1,))
    heavy = dataclasses.replace(plain, class_weights=(1.0, 5.0))
    means = [
        train_kind([x], one, head="mlp", gradients=Gradients(SMALL))[0].score([x]).mean()
        for one in (plain, heavy)
    ]
    assert means[1] > means[0] + 0.1


def train_scores(x, truth, state=None, ids=None, settings=SMALL):
    kept = []
    by = Gradients(settings, state, ids_of(len(x)) if ids is None else ids, keep=kept.append)
    head, report = train_kind([x], Wanted("scores", truth, np.ones(len(x))), head="mlp",
                              normalise=False, gradients=by)  # fmt: skip
    return head, report, kept[0]


def test_a_rating_stays_within_the_labels(tmp_path):
    x, truth = draw()
    head, report, _ = train_scores(x, 50 + 10 * truth)
    score = head.score([100 * x])
    assert score.min() >= (50 + 10 * truth).min()
    assert score.max() <= (50 + 10 * truth).max()
    assert head.promise.bounded
    assert report.curve.held[report.curve.best] == min(report.curve.held)
    assert "parameters" in report.detail


def test_a_state_survives_saving_and_is_safe_to_open(tmp_path):
    x, truth = draw()
    head, _, state = train_scores(x, truth)
    state.save(tmp_path / "a.optim")
    again = State.load(tmp_path / "a.optim")
    assert again.settings == state.settings
    assert again.n_updates == state.n_updates > 0
    assert np.array_equal(again.fold_of, state.fold_of)
    for one, other in zip(again.folds, state.folds, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in other)
    # the head itself is no state, and half a state is none
    head.save(tmp_path / "b.safetensors")
    for broken in (tmp_path / "b.safetensors", tmp_path / "half"):
        (tmp_path / "half").write_bytes((tmp_path / "a.optim").read_bytes()[:2_000])
        with pytest.raises(HeadError, match="cannot be read"):
            State.load(broken)


def test_going_on_is_better_and_judged_by_fits_that_never_saw_the_judged():
    x, truth = draw(200)
    short = dataclasses.replace(SMALL, epochs=2)
    _, before, state = train_scores(x[:150], truth[:150], settings=short)
    ids = ids_of(200)
    _, after, newer = train_scores(x, truth, state, ids)
    figure = {f.name: f.found.value for f in after.figures}["MAE"]
    assert figure < {f.name: f.found.value for f in before.figures}["MAE"]
    assert np.array_equal(newer.fold_of[:150], state.fold_of)  # what it knew keeps its fold
    assert newer.n_updates > state.n_updates


def test_going_on_with_noise_stays_honest():
    """Labels that it knows by heart must not flatter the figures of a training that goes on."""
    x = draw(80)[0]
    noise = np.random.default_rng(9).normal(size=80)
    long = Settings(hidden=32, down=(16, 8, 8), lr=0.01, epochs=30, patience=0)
    state = None
    for _ in range(3):
        _, report, state = train_scores(x, noise, state, ids_of(80), settings=long)
    srcc = {f.name: f for f in report.figures}["SRCC"]
    assert srcc.found.low < 0.1
    assert srcc.train > 0.6  # though it does know them by heart


def test_near_copies_follow_what_is_known():
    x, truth = draw(60)
    state = train_scores(x, truth)[2]
    ids = ids_of(61)
    groups = np.arange(61)
    groups[60] = 7  # a new copy of row 7
    folds = kept_folds(state, ids, groups, np.zeros(61, dtype=np.int64))
    assert folds[60] == state.fold_of[7]
    assert np.array_equal(folds[:60], state.fold_of)


@pytest.mark.parametrize("what", ["kind", "columns"])
def test_what_a_head_cannot_go_on_with(what):
    x, truth = draw()
    state = train_scores(x, truth)[2]
    wanted = Wanted("scores", truth, np.ones(150))
    if what == "kind":
        wanted = Wanted("classes", (truth > 0).astype(int), np.ones(150), names=("a", "b"))
    if what == "columns":
        x = x[:, :5].copy()
    with pytest.raises(UsageError) as caught:
        train_kind([x], wanted, head="mlp", normalise=False,
                   gradients=Gradients(SMALL, state, ids_of(150)))  # fmt: skip
    assert caught.value.slug == "wrong-resume"


def test_wider_labels_widen_the_scale():
    x, truth = draw()
    state = train_scores(x, truth)[2]
    head, _, newer = train_scores(x, 2 * truth, state)
    assert (head.promise.low, head.promise.high) == newer.ends
    assert newer.ends == (2 * truth.min(), 2 * truth.max())
    narrow, _, _ = train_scores(x, truth / 2, state)
    assert (narrow.promise.low, narrow.promise.high) == state.ends


def test_a_published_head_can_go_on(tmp_path):
    """Its layers are taken up as they are: without an update it says what it said."""
    x, truth = draw()
    head, _, _ = train_scores(x, truth)
    bare = LayeredHead(head.layers, "tanh", head.promise, head.dims, normalise=False)
    state = State.of_head(bare, tmp_path)
    assert state.is_published
    still = dataclasses.replace(state.settings, lr=1e-12, weight_decay=0.0, epochs=1)
    again, report, _ = train_scores(x, truth, state, settings=still)
    assert np.allclose(again.score([x]), head.score([x]), atol=1e-4)
    assert any("had not seen" in note for note in report.notes)


def test_a_head_of_another_kind_cannot_go_on(tmp_path):
    x, truth = draw()
    ridge, _ = train_kind([x], Wanted("scores", truth, np.ones(150)))
    with pytest.raises(UsageError, match="another kind"):
        State.of_head(ridge, tmp_path / "r.safetensors")


def test_yes_and_no_can_go_on_too(tmp_path):
    x, truth = draw(160)
    y = (truth > 0).astype(np.int8)
    small = {"hidden": 16, "down": [8, 8, 8], "lr": 0.01, "epochs": 10}
    first = mlp.Mlp(small, ids=ids_of(120))
    train_binary([x[:120]], y[:120], head="mlp", network=first)
    first.state.save(tmp_path / "a.optim")
    second = mlp.Mlp(small, state=State.load(tmp_path / "a.optim"), ids=ids_of(160))
    taste, report = train_binary([x], y, head="mlp", network=second)
    assert report.members[-1].auc.value > 0.9
    assert np.array_equal(second.state.fold_of[:120], first.state.fold_of)
    assert ((taste.score([x]) > 0.5) == y).mean() > 0.9
