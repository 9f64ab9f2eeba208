"""Boosted trees as flat arrays, evaluated by numpy exactly as LightGBM does it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, Rows
from vta_cli.heads.parts import take
from vta_cli.heads.protocol import Arrays
from vta_cli.heads.tree_masks import Masks, by_masks, make_masks

MAX_TREES = 20_000
MAX_LEAVES = 256


@dataclass(frozen=True)
class TreesPart:
    """Sum of the leaves that a row falls into, one a tree.

    Inner nodes of a tree are numbered so that a child's number is larger than its parent's (as
    LightGBM numbers them), which rules out cycles; a child ``c < 0`` is the leaf ``-c - 1``.
    Trees with fewer leaves than the widest are padded.

    Attributes
    ----------
    feature : ndarray of shape (n_trees, n_nodes), int32
        Column that a node compares.
    threshold : ndarray of shape (n_trees, n_nodes), float64
        A row goes left if its value is at most the threshold.
    left, right : ndarray of shape (n_trees, n_nodes), int32
        Children.
    leaf : ndarray of shape (n_trees, n_nodes + 1), float64
        Values of the leaves.
    """

    kind: ClassVar[str] = "trees"
    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    leaf: Floats

    @cached_property
    def _walk(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.int64], int]:
        """Columns in use, feature as position among them, flat children, steps to the bottom."""
        used, position = np.unique(self.feature, return_inverse=True)
        children = np.stack([self.right, self.left], axis=-1).astype(np.int64)  # [..., go_left]
        return (
            used.astype(np.int64),
            position.reshape(-1).astype(np.int64),
            self.threshold.reshape(-1),
            children.reshape(-1),
            _depth(self.left, self.right),
        )

    @cached_property
    def _masks(self) -> Masks | None:
        return make_masks(self.feature, self.threshold, self.left, self.right, self.leaf)

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        return self.margins(rows.unit)

    def margins(self, unit: NDArray[np.floating]) -> Floats:
        """Return the sum of leaves of each row of `unit`, shape (n,)."""
        # float32 is what the trees were grown on
        narrow = unit.astype(np.float32, copy=False)
        return self._walked(narrow) if self._masks is None else by_masks(self._masks, narrow)

    def _walked(self, unit: NDArray[np.float32]) -> Floats:
        """Go down all trees at once, a level at a time."""
        used, feature, threshold, children, depth = self._walk
        n_trees, n_nodes = self.feature.shape
        values = np.ascontiguousarray(unit[:, used].T)  # (used, n)
        n = values.shape[1]
        flat = values.reshape(-1)
        row = np.arange(n)
        base = (np.arange(n_trees) * n_nodes)[:, None]
        node = np.zeros((n_trees, n), dtype=np.int64)
        for _ in range(depth):
            at = np.maximum(node, 0) + base
            go_left = flat[feature[at] * n + row] <= threshold[at]
            node = np.where(node < 0, node, children[2 * at + go_left])
        values_of = np.take_along_axis(self.leaf, -node - 1, axis=1)  # (n_trees, n)
        total = np.zeros(n)
        for tree in values_of:  # one after the other, the order in which LightGBM adds
            total += tree
        return total

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {
            "feature": self.feature,
            "threshold": self.threshold,
            "left": self.left,
            "right": self.right,
            "leaf": self.leaf,
        }

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        feature = take(arrays, "feature", (None, None), np.int32)
        n_trees, n_nodes = feature.shape
        if not 0 < n_trees <= MAX_TREES or not 0 < n_nodes < MAX_LEAVES:
            raise ValueError("the number of trees or of their nodes is out of range")
        part = cls(
            feature,
            take(arrays, "threshold", feature.shape, np.float64),
            take(arrays, "left", feature.shape, np.int32),
            take(arrays, "right", feature.shape, np.int32),
            take(arrays, "leaf", (n_trees, n_nodes + 1), np.float64),
        )
        if feature.min() < 0 or feature.max() >= dim:
            raise ValueError("a tree compares a column that does not exist")
        number = np.arange(n_nodes)
        for child in (part.left, part.right):
            inner = child >= 0
            if (
                np.any(inner & ((child <= number) | (child >= n_nodes)))
                or child.min() < -n_nodes - 1
            ):
                raise ValueError("a tree's nodes are not in order")
        return part


def _depth(left: NDArray[np.int32], right: NDArray[np.int32]) -> int:
    """Return the longest way from a root to a leaf, in nodes."""
    n_trees, n_nodes = left.shape
    level = np.zeros((n_trees, n_nodes), dtype=np.int64)
    level[:, 0] = 1
    tree = np.arange(n_trees)
    for node in range(n_nodes):
        for child in (left[:, node], right[:, node]):
            inner = child >= 0
            below = np.where(level[:, node] > 0, level[:, node] + 1, 0)
            at = (tree[inner], child[inner])
            level[at] = np.maximum(level[at], below[inner])
    return int(level.max())


def trees_from_dump(dump: dict[str, Any], columns: NDArray[np.int64] | None = None) -> TreesPart:
    """Turn LightGBM's `Booster.dump_model()` into flat arrays.

    Parameters
    ----------
    dump : dict
    columns : ndarray of shape (n_features,), int64, optional
        Which column of a row each feature of the model is; the same by default.

    Raises
    ------
    ValueError
        If a tree uses what the evaluator does not know: categories, or rules for missing values.
    """
    roots = [info["tree_structure"] for info in dump["tree_info"]]
    n_trees = len(roots)
    n_nodes = max(1, max(int(info["num_leaves"]) for info in dump["tree_info"]) - 1)
    feature = np.zeros((n_trees, n_nodes), dtype=np.int32)
    threshold = np.zeros((n_trees, n_nodes))
    left = np.full((n_trees, n_nodes), -1, dtype=np.int32)
    right = np.full((n_trees, n_nodes), -1, dtype=np.int32)
    leaf = np.zeros((n_trees, n_nodes + 1))
    for tree, root in enumerate(roots):
        pending = [root]
        while pending:
            node = pending.pop()
            if "split_index" not in node:
                leaf[tree, node.get("leaf_index", 0)] = node["leaf_value"]
                continue
            if node["decision_type"] != "<=" or node["missing_type"] != "None":
                raise ValueError("only plain comparisons of numbers are supported")
            at = node["split_index"]
            column = node["split_feature"]
            feature[tree, at] = column if columns is None else columns[column]
            threshold[tree, at] = node["threshold"]
            for side, name in ((left, "left_child"), (right, "right_child")):
                child = node[name]
                inner = "split_index" in child
                side[tree, at] = child["split_index"] if inner else -child["leaf_index"] - 1
                pending.append(child)
    return TreesPart(feature, threshold, left, right, leaf)
