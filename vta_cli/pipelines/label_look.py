"""Looks at single images for the labelling page: pictures for the browser, and a dropped file."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.images.decode import decode
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.picture import Picture
from vta_cli.pages.pictures import Cache, encode
from vta_cli.pipelines.label import Session
from vta_cli.pipelines.lanes import Lane
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.views import one_vector
from vta_cli.records import Vectors

N_NEAR = 6
"""Liked and disliked neighbours that are shown of a dropped image."""
VOTERS = 9
"""Labelled neighbours that vote on it."""


class Looker:
    """Decodes for one session; keeps what the browser may ask for again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cache = Cache()
        self._lanes: list[Lane] = []
        self._network = threading.Lock()

    def picture(self, key: str, size: str) -> bytes:
        """Return a JPEG of an image of the pool.

        Raises
        ------
        UsageError
            ``unknown-image`` if the key is not of this pool.
        UnreadableImageError
            ``changed-file`` if the file no longer holds that content; else as `decode`.
        """
        row = self._session.row(key)
        data = self._cache.get(key, size)
        if data is None:
            try:
                content = read_bytes(self._session.pool.paths[row])
                if key_of(content).hex() != key:
                    raise UnreadableImageError("changed-file", "the file was changed since")
            except UnreadableImageError:
                self._session.lose(row)
                raise
            decoded = decode(content)
            self._session.pool.sizes[row] = (decoded.width, decoded.height)
            data = encode(decoded.pixels, size)
            self._cache.put(key, size, data)
        return data

    def drop(self, content: bytes) -> dict[str, Any]:
        """Judge a picture that was dropped on the page; nothing of it is kept.

        Returns
        -------
        dict
            ``score``, ``members`` (opinions by name), ``low`` and ``high`` of the committee, and
            the nearest ``liked`` and ``disliked`` images, each with ``similarity``.

        Raises
        ------
        UnreadableImageError
            As `decode`.
        UsageError
            ``still-loading`` before the spaces are known.
        """
        picture = Picture(content)
        loader = self._session.loader
        if loader.sketch is None:
            raise UsageError("still-loading", "the vectors are still being read: try in a moment")
        blocks = self._vectors(picture)
        with self._session.lock:
            vector = loader.sketch.rows(blocks)  # (1, dim)
            n_spaces = len(loader.sketch.dims)
            pool, fit = self._session.pool, self._session.learner.fit
            found: dict[str, Any] = {
                "width": picture.width, "height": picture.height, "score": None, "members": {},
                "known": pool.row(key_of(content).hex()) is not None,
            }  # fmt: skip
            if fit is not None:
                found["score"] = round(float(fit.head.scores(vector)[0]), 4)
                found["members"] = _members(fit.head.committee, fit.head, vector)
            usable = pool.has & (pool.label >= 0)
            near = np.zeros(len(pool), np.float32)
            if usable.any():  # else there may be no columns yet
                near = (pool.vectors @ vector[0]) / n_spaces
            votes = _nearest(np.flatnonzero(usable), near, VOTERS)
            if len(votes):
                share = float((pool.label[votes] == 1).mean())
                found["members"][f"nearest {len(votes)}"] = round(share, 4)
            for name, label in (("liked", 1), ("disliked", 0)):
                rows = _nearest(np.flatnonzero(usable & (pool.label == label)), near, N_NEAR)
                found[name] = [
                    self._session.item(int(row)) | {"similarity": round(float(near[row]), 4)}
                    for row in rows
                ]
        return found

    def _vectors(self, picture: Picture) -> list[Vectors]:
        """Embed one picture in every space of the pool; the network is loaded once."""
        with self._network:
            if not self._lanes:
                engine = self._session.inputs.engine
                self._lanes = [
                    Lane(self._session.store, spec, engine, Silent(), self._session.loader.view)
                    for spec in self._session.loader.specs
                ]
            blocks = []
            for lane in self._lanes:
                backbone = lane.backbone
                looks = backbone.recipe.preprocess
                shown = picture.readings(looks, lane.view, backbone.resize)
                blocks.append(one_vector(backbone.embed(shown)[None]))
            return blocks


def _members(
    committee: NDArray[np.float64], head: Any, vector: NDArray[np.float32]
) -> dict[str, float]:
    """Return what the head says when a fifth of the labels is left out, for each fifth."""
    raw = vector.astype(np.float64) @ committee.T + head.committee_intercepts
    scores = head.calibrator.probability(raw[0])
    return {f"without fold {at + 1}": round(float(score), 4) for at, score in enumerate(scores)}


def _nearest(rows: NDArray[np.int64], near: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    return rows[np.argsort(-near[rows], kind="stable")[:n]]
