"""Heads of layers: what they give, that a row stands alone, and what a file may hold."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from vta_cli.errors import HeadError
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.saved import is_own, load_head
from vta_cli.records import Layer, Promise

DIM = 12


def small_head(kind, *, normalise=True, seed=0):
    """Return a small network of each kind."""
    rng = np.random.default_rng(seed)

    def affine(n_out, n_in):
        weight = rng.normal(size=(n_out, n_in)).astype(np.float32)
        return Layer("affine", weight, rng.normal(size=n_out).astype(np.float32))

    body = (affine(8, DIM), Layer("mark"), affine(8, 8), Layer("add"), Layer("relu"))
    tail = Layer("leaky_relu", slope=0.1)
    match kind:
        case "rating":
            promise, n_out, output = Promise("rating", 1, 10, bounded=False), 1, "plain"
        case "bounded":
            promise, n_out, output = Promise("rating"), 1, "tanh"
        case "classes":
            promise = Promise("classes", names=("good", "blurred", "noisy"), chosen=(1, 2))
            n_out, output = 3, "softmax"
        case _:
            values = tuple(float(k) for k in range(1, 11))
            promise, n_out, output = Promise("distribution", 1, 10, values=values), 10, "softmax"
    layers = (*body, tail, affine(n_out, 8))
    return LayeredHead(
        layers, output, promise, (8, 4), normalise=normalise, recipes=({"a": 1},), meta={"n": "x"}
    )


KINDS = ("rating", "bounded", "classes", "distribution")


def blocks_of(n, seed=1):
    """Return rows of two spaces."""
    x = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    return [x[:, :8], x[:, 8:]]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 600), data=st.data())
def test_a_row_stands_alone(kind, n, data):
    """Neighbours change no bit of a row's answer."""
    head = small_head(kind)
    blocks = blocks_of(n)
    at = data.draw(st.integers(0, n - 1))
    whole, beside = head.answer(blocks)
    alone, alone_beside = head.answer([block[at : at + 1] for block in blocks])
    assert whole[at] == alone[0]
    for name, values in beside.items():
        assert values[at] == alone_beside[name][0]


def test_layers_do_what_they_say():
    """The network is the formula written out, on blocks of unit length."""
    head = small_head("rating")
    up, _, inner, _, _, _, last = head._layers
    a, b = (block / np.linalg.norm(block, axis=1, keepdims=True) for block in blocks_of(5))
    x = np.concatenate([a, b], axis=1)
    h = x @ up.weight.T + up.bias
    h = np.maximum(h @ inner.weight.T + inner.bias + h, 0)
    wanted = np.where(h >= 0, h, 0.1 * h) @ last.weight.T + last.bias
    assert head.score(blocks_of(5)) == pytest.approx(wanted[:, 0], abs=1e-5)


def test_length_counts_only_where_vectors_are_raw():
    """Unit heads ignore the length of a vector, raw ones do not."""
    longer = [3 * block for block in blocks_of(4)]
    unit, raw = small_head("rating"), small_head("rating", normalise=False)
    assert unit.score(longer) == pytest.approx(unit.score(blocks_of(4)), abs=1e-5)
    assert not np.allclose(raw.score(longer), raw.score(blocks_of(4)), atol=1e-2)


def test_classes_and_their_score():
    """One share a class, together 1; the score is the largest among the chosen."""
    score, beside = small_head("classes").answer(blocks_of(50))
    shares = np.stack(list(beside.values()), axis=1)
    assert list(beside) == ["good", "blurred", "noisy"]
    assert shares.sum(axis=1) == pytest.approx(np.ones(50))
    assert np.array_equal(score, shares[:, 1:].max(axis=1))


def test_distribution_gives_mean_sd_and_bins():
    """Mean and standard deviation of the shares, population form."""
    head = small_head("distribution")
    score, beside = head.answer(blocks_of(20))
    bins = np.stack(list(head.members(blocks_of(20)).values()), axis=1)
    assert next(iter(head.members(blocks_of(1)))) == "bin.1"
    values = np.arange(1, 11)
    mean = bins @ values
    assert score == pytest.approx(mean)
    assert beside["sd"] == pytest.approx(np.sqrt((bins * (values - mean[:, None]) ** 2).sum(1)))


def test_published_distribution_check_values():
    """The example of idealo's README: mean and standard deviation to seven digits."""
    p = np.array([
        1.95023458218202e-05, 0.018782516941428185, 0.058153558522462845, 0.15053792297840118,
        0.3187156915664673, 0.24706070125102997, 0.120249442756176, 0.060940422117710114,
        0.02441250905394554, 0.0011277177836745977,
    ])  # fmt: skip
    layer = Layer("affine", np.log(p)[:, None], np.zeros(10))
    promise = Promise("distribution", 1, 10, values=tuple(range(1, 11)))
    head = LayeredHead((layer,), "softmax", promise, (1,), normalise=False)
    score, beside = head.answer([np.ones((1, 1))])
    assert score[0] == pytest.approx(5.4503989, abs=1e-7)
    assert beside["sd"][0] == pytest.approx(1.4300221, abs=1e-7)


def test_rows_that_are_no_numbers_have_no_score():
    """NaN and infinity give NaN, for that row alone; zero rows have a score."""
    blocks = blocks_of(4)
    blocks[0][1, 3], blocks[1][2, 0] = np.nan, np.inf
    blocks[0][3], blocks[1][3] = 0, 0
    score, beside = small_head("classes").answer(blocks)
    assert np.array_equal(np.isnan(score), [False, True, True, False])
    assert np.isnan(beside["good"][1])
    score, _ = small_head("classes").answer([block[:0] for block in blocks])
    assert score.shape == (0,)
    with pytest.raises(HeadError, match="columns"):
        small_head("classes").score(blocks[:1])


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_heads_are_the_same(kind, tmp_path):
    """Same bits, same bytes, same words."""
    head = small_head(kind)
    head.save(tmp_path / "a.safetensors")
    again = load_head(tmp_path / "a.safetensors")
    assert is_own(tmp_path / "a.safetensors")
    assert np.array_equal(again.score(blocks_of(300)), head.score(blocks_of(300)))
    assert (again.promise, again.dims, again.normalise) == (head.promise, head.dims, head.normalise)
    assert (again.meta, again.recipes) == (head.meta, head.recipes)
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def forge(path, target, change):
    """Copy a saved head with its document and arrays changed."""
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["vta"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(document, arrays)
    save_file(arrays, target, metadata={"vta": json.dumps(document)})
    return target


BROKEN = {
    "type": lambda d, _: d.update(type="other"),
    "layers": lambda d, _: d.update(layers=[]),
    "layer": lambda d, _: d["layers"].__setitem__(0, {"op": "exec"}),
    "slope": lambda d, _: d["layers"].__setitem__(5, {"op": "leaky_relu", "slope": 7}),
    "slope-text": lambda d, _: d["layers"].__setitem__(5, {"op": "leaky_relu", "slope": "x"}),
    "no-mark": lambda d, _: d["layers"].__setitem__(1, {"op": "relu"}),
    "missing": lambda _, a: a.pop("layer.2.weight"),
    "shape": lambda _, a: a.update({"layer.2.bias": np.zeros(3, np.float32)}),
    "nan": lambda _, a: a["layer.2.bias"].__setitem__(0, np.nan),
    "dtype": lambda _, a: a.update({"layer.2.bias": np.zeros(8, np.int64)}),
    "dims": lambda d, _: d.update(dims=[8, 5]),
    "dims-negative": lambda d, _: d.update(dims=[-8, 20]),
    "dims-bool": lambda d, _: d.update(dims=[True]),
    "output": lambda d, _: d.update(output="plain"),
    "promise": lambda d, _: d.update(promise=3),
    "kind": lambda d, _: d["promise"].update(kind="oracle"),
    "names": lambda d, _: d["promise"].update(names=["a", "a", "b"]),
    "names-number": lambda d, _: d["promise"].update(names=["a", 1, "b"]),
    "chosen": lambda d, _: d["promise"].update(chosen=[9]),
    "scale": lambda d, _: d["promise"].update(low=5),
    "normalise": lambda d, _: d.update(normalise="yes"),
    "recipes": lambda d, _: d.update(recipes=[1]),
    "meta": lambda d, _: d.pop("meta"),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_crafted_files_are_refused(change, tmp_path):
    """Whatever is wrong with a file ends in one error that names it."""
    small_head("classes").save(tmp_path / "a.safetensors")
    forged = forge(tmp_path / "a.safetensors", tmp_path / "forged.safetensors", change)
    with pytest.raises(HeadError, match="forged") as error:
        load_head(forged)
    assert error.value.slug == "head-unreadable"
