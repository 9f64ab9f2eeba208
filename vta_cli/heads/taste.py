"""A fitted head: saved, loaded and applied with numpy and safetensors alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Block, Columns, Floats, check_blocks, pieces
from vta_cli.heads.calibration import CALIBRATORS, Calibrator, calibrator
from vta_cli.heads.linear import linear_raws
from vta_cli.heads.parts import LinearPart, take
from vta_cli.heads.persist import about, read, unreadable, write
from vta_cli.heads.protocol import Part
from vta_cli.heads.registry import PARTS, resolve
from vta_cli.heads.threads import one_thread
from vta_cli.records import Promise

MAX_MEMBERS = 64


@dataclass(frozen=True)
class Member:
    """One part of a head with its own calibrator and its share in the whole.

    Attributes
    ----------
    name : str
        As in the registry.
    part : Part
        Rows to raw scores.
    calibrator : Calibrator
        Raw scores to probabilities.
    share : float
        Its share in the head, 0 to 1; all shares sum to 1.
    weight : float
        What its raw score is multiplied by: the share over the spread of its raw scores.
    """

    name: str
    part: Part
    calibrator: Calibrator
    share: float
    weight: float


class Taste:
    """A head that gives calibrated probabilities.

    The probability of a row is the head's calibrator applied to the weighted sum of its members'
    raw scores. It depends on that row alone, to the last bit.

    Attributes
    ----------
    recipes : tuple of dict
        JSON of the spaces that the head reads, in block order; set by the caller.
    meta : dict
        What the head says of itself, JSON values; set by the caller.
    dims : tuple of int
        Width of each block.
    normalise : bool
        Whether the rows of each block are scaled to unit length first.
    """

    def __init__(
        self,
        members: Sequence[Member],
        final: Calibrator,
        columns: Columns,
        dims: Sequence[int],
        *,
        normalise: bool = True,
        recipes: Sequence[dict[str, Any]] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._members = tuple(members)
        self._final = final
        self._columns = columns
        self.dims = tuple(int(dim) for dim in dims)
        self.normalise = normalise
        self.recipes = tuple(recipes)
        self.meta: dict[str, Any] = dict(meta or {})

    def with_meta(self, *, recipes: Sequence[dict[str, Any]] | None = None, **meta: Any) -> Self:
        """Return the same head with other recipes or more metadata."""
        return type(self)(
            self._members,
            self._final,
            self._columns,
            self.dims,
            normalise=self.normalise,
            recipes=self.recipes if recipes is None else recipes,
            meta=self.meta | meta,
        )

    @property
    def shares(self) -> dict[str, float]:
        """Weight of each member, by name."""
        return {member.name: member.share for member in self._members}

    def score(self, blocks: Sequence[Block]) -> Floats:
        """Return the probability of each row.

        Parameters
        ----------
        blocks : sequence of ndarray of shape (n, dim_i)
            Raw vectors, one block a space in the order of `recipes`; any number of rows.

        Returns
        -------
        ndarray of shape (n,), float64
            In 0..1; NaN for rows that hold values which are not finite.

        Raises
        ------
        HeadError
            ``wrong-vectors`` if the blocks do not have the head's widths.
        """
        total = np.zeros(check_blocks(blocks, self.dims))
        for where, raws in self._raws(blocks):
            for member, raw in zip(self._members, raws, strict=True):
                total[where] += member.weight * raw
        with np.errstate(invalid="ignore"):
            return self._final.probability(total)

    @property
    def promise(self) -> Promise:
        """What the score means: a calibrated probability."""
        return Promise("probability")

    def answer(self, blocks: Sequence[Block]) -> tuple[Floats, dict[str, Floats]]:
        """Return the score of each row, and nothing beside it."""
        return self.score(blocks), {}

    def members(self, blocks: Sequence[Block]) -> dict[str, Floats]:
        """Return the calibrated probability of each row by each member, by name."""
        n = check_blocks(blocks, self.dims)
        found = {member.name: np.empty(n) for member in self._members}
        for where, raws in self._raws(blocks):
            for member, raw in zip(self._members, raws, strict=True):
                found[member.name][where] = raw
        with np.errstate(invalid="ignore"):
            return {m.name: m.calibrator.probability(found[m.name]) for m in self._members}

    def _raws(self, blocks: Sequence[Block]) -> Iterator[tuple[slice, list[Floats]]]:
        """Yield the raw scores of each member, for some rows at a time."""
        linear = [m.part for m in self._members if isinstance(m.part, LinearPart)]
        with np.errstate(invalid="ignore", over="ignore"), one_thread():
            if len(linear) == len(self._members):
                weights = [(part.narrow, float(part.intercept[0])) for part in linear]
                yield slice(None), linear_raws(blocks, weights, normalise=self.normalise)
                return
            for where, rows in pieces(blocks, self._columns, normalise=self.normalise):
                n = where.stop - where.start
                odd = rows.odd[:n]
                raws = [member.part.raw(rows)[:n] for member in self._members]
                for raw in raws:
                    raw[odd] = np.nan
                yield where, raws

    def save(self, path: Path) -> None:
        """Write the head to one file, atomically; the same head gives the same bytes.

        Raises
        ------
        HeadError
            If the file cannot be written or `meta` is not JSON.
        """
        arrays: dict[str, NDArray[Any]] = {
            "columns.mean": self._columns.mean,
            "columns.factor": self._columns.factor,
            "columns.size": self._columns.size,
            "shares": np.array([member.share for member in self._members]),
            "weights": np.array([member.weight for member in self._members]),
        }
        listed = []
        for at, member in enumerate(self._members):
            kinds = {"name": member.name, "kind": member.part.kind}
            listed.append(kinds | {"calibrator": member.calibrator.kind})
            for name, array in member.part.arrays().items():
                arrays[f"member.{at}.{name}"] = array
            for name, array in member.calibrator.arrays().items():
                arrays[f"calibrator.{at}.{name}"] = array
        for name, array in self._final.arrays().items():
            arrays[f"final.{name}"] = array
        document = {
            "dims": list(self.dims),
            "normalise": self.normalise,
            "members": listed,
            "final": self._final.kind,
            "recipes": list(self.recipes),
            "meta": self.meta,
        }
        write(path, document, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved head.

        Raises
        ------
        HeadError
            ``no-such-head``, ``head-unreadable`` or ``head-newer``.
        """
        document, arrays = read(Path(path))
        return cls.restore(Path(path), document, arrays)

    @classmethod
    def restore(cls, path: Path, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Rebuild a head from what `persist.read` gave; `path` is named in errors."""
        try:
            return cls._restore(document, arrays)
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(path, str(error)) from error

    @classmethod
    def _restore(cls, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        told = about(document)
        dim = sum(told["dims"])
        listed = document["members"]
        if not isinstance(listed, list) or not 0 < len(listed) <= MAX_MEMBERS:
            raise ValueError("the list of members is empty or too long")
        shares = take(arrays, "shares", (len(listed),), np.float64)
        if np.any(shares < 0) or abs(float(shares.sum()) - 1.0) > 1e-6:
            raise ValueError("the members' shares do not sum to 1")
        weights = take(arrays, "weights", (len(listed),), np.float64)
        if np.any(weights < 0):
            raise ValueError("a member's weight is negative")
        members = []
        for at, item in enumerate(listed):
            part: Part = resolve(PARTS[_word(item, "kind")]).restore(
                _under(arrays, f"member.{at}."), dim
            )
            own = calibrator(_word(item, "calibrator")).restore(_under(arrays, f"calibrator.{at}."))
            members.append(
                Member(_word(item, "name"), part, own, float(shares[at]), float(weights[at]))
            )
        if len({member.name for member in members}) < len(members):
            raise ValueError("two members share a name")
        columns = Columns(
            *(take(arrays, f"columns.{name}", (dim,), np.float64) for name in
              ("mean", "factor", "size"))
        )  # fmt: skip
        final = calibrator(_word(document, "final")).restore(_under(arrays, "final."))
        return cls(members, final, columns, **told)


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _word(item: Any, name: str) -> str:
    value = item[name] if isinstance(item, dict) else None
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        raise ValueError(f"{name} is not a name")
    if (name == "kind" and value not in PARTS) or (
        name in ("calibrator", "final") and value not in CALIBRATORS
    ):
        raise ValueError(f"unknown {name} {value!r}")
    return value
