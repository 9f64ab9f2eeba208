"""Layers in float32 give what the plain way gives in float64, and a row the same bits anywhere."""

import numpy as np
import pytest

from vta_cli.heads.layered import FEW_OUTPUTS, LayeredHead
from vta_cli.heads.layers import forward
from vta_cli.records import Layer, Promise

DIM = 96


def affine(random, n_in, n_out):
    weight = random.normal(size=(n_out, n_in)).astype(np.float32) / np.float32(n_in**0.5)
    return Layer("affine", weight, random.normal(size=n_out).astype(np.float32))


def layers_of(shape, random):
    """What published networks are made of, and orders that none of them has."""
    relu, leaky = Layer("relu"), Layer("leaky_relu", slope=0.01)
    mark, add = Layer("mark"), Layer("add")

    def a(n_in, n_out):
        return affine(random, n_in, n_out)

    return {
        "one": [a(DIM, 1)],
        "few": [a(DIM, FEW_OUTPUTS)],
        "many": [a(DIM, 300)],
        "relus": [a(DIM, 200), relu, a(200, 64), relu, a(64, 1)],
        "residual": [a(DIM, 128), mark, a(128, 256), leaky, a(256, 128), add, relu, a(128, 3)],
        "bent first": [relu, a(DIM, 150), leaky, a(150, 2)],
        "kept input": [mark, a(DIM, DIM), relu, add, a(DIM, 120), a(120, 1)],
        "marked, bent": [a(DIM, 110), mark, relu, a(110, 110), add, a(110, 1)],
        "added to itself": [mark, add, a(DIM, 100), leaky, a(100, 1)],
    }[shape]


def head_of(layers, *, normalise):
    n_out = next(len(layer.bias) for layer in reversed(layers) if layer.bias is not None)
    names = tuple(f"tag {at}" for at in range(n_out))
    promise = Promise("tags", names=names, chosen=(0,))
    return LayeredHead(layers, "sigmoid", promise, (DIM,), normalise=normalise)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    "shape",
    [
        "one", "few", "many", "relus", "residual", "bent first", "kept input", "marked, bent",
        "added to itself",
    ],
)  # fmt: skip
def test_layers_are_what_the_plain_way_gives_wherever_a_row_lies(shape, normalise):
    random = np.random.default_rng(3)
    layers = layers_of(shape, random)
    head = head_of(layers, normalise=normalise)
    x = random.normal(size=(600, DIM)).astype(np.float32)
    x[5], x[6, 2], x[300, 0] = 0.0, np.nan, np.inf
    unit = x.astype(np.float64)
    if normalise:
        with np.errstate(invalid="ignore"):
            unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    unit[[6, 300]] = 0.0

    found = np.stack(list(head.answer([x])[1].values()), axis=1)

    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [6, 300]
    assert np.isnan(found[[6, 300]]).all()
    sound = ~np.isnan(found[:, 0])
    exact = 1.0 / (1.0 + np.exp(-forward(layers, unit)))
    assert found[sound] == pytest.approx(exact[sound], abs=2e-6)
    for first in (1, 7, 263, 599):
        again = np.stack(list(head.answer([x[first:]])[1].values()), axis=1)
        assert np.array_equal(again, found[first:], equal_nan=True)


def test_no_rows_give_no_scores():
    for shape in ("few", "relus"):
        head = head_of(layers_of(shape, np.random.default_rng(4)), normalise=True)
        assert head.score([np.empty((0, DIM), np.float32)]).shape == (0,)
