"""A saved head: the same bits whatever the batch, and no file can do harm."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vta_cli.errors import HeadError
from vta_cli.heads.taste import Taste
from vta_cli.heads.train import train_binary


@pytest.fixture(scope="module")
def made():
    """Two blocks, a taste in both, and the ensemble of it (its members all in)."""
    random = np.random.default_rng(0)
    targets = np.tile([0, 1], 150).astype(np.int8)
    blocks = [random.normal(size=(300, dim)).astype(np.float32) for dim in (24, 40)]
    blocks[0][:, :3] += targets[:, None] * 2.0
    blocks[1][:, :3] -= targets[:, None] * 2.0
    taste, _ = train_binary(blocks, targets)
    taste.recipes = ({"backbone": "a"}, {"backbone": "b"})
    taste.meta["name"] = "mine"
    return taste, blocks


@pytest.fixture
def saved(made, tmp_path):
    made[0].save(tmp_path / "t.safetensors")
    return tmp_path / "t.safetensors"


def test_all_kinds_of_parts_are_in_the_fixture(made):
    assert set(made[0].shares) == {"logistic", "kernel", "knn", "boosting"}


def test_a_loaded_head_gives_the_same_bits(made, saved):
    taste, blocks = made

    again = Taste.load(saved)

    assert np.array_equal(again.score(blocks), taste.score(blocks))
    for name, scores in taste.members(blocks).items():
        assert np.array_equal(again.members(blocks)[name], scores)
    assert again.recipes == taste.recipes
    assert again.meta == taste.meta
    assert again.dims == (24, 40)


def test_saving_twice_gives_the_same_bytes(made, saved, tmp_path):
    Taste.load(saved).save(tmp_path / "again.safetensors")

    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "t.safetensors"]


def test_saving_leaves_the_permissions_of_what_other_threads_make_alone(
    made, tmp_path, monkeypatch
):
    mask = os.umask(0o027)
    monkeypatch.setattr(os, "umask", None)  # it is the process's: to ask for it sets it
    try:
        made[0].save(tmp_path / "t.safetensors")
    finally:
        monkeypatch.undo()
        os.umask(mask)

    assert (tmp_path / "t.safetensors").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 700])
def test_a_row_does_not_depend_on_its_batch(made, size):
    taste, _ = made
    random = np.random.default_rng(size)
    rows = [random.normal(size=(700, dim)).astype(np.float32) for dim in (24, 40)]
    whole = taste.score(rows)
    order = random.permutation(700)[:size]

    assert np.array_equal(taste.score([block[order] for block in rows]), whole[order])


@pytest.mark.parametrize("name", ["logistic", "kernel", "knn", "boosting"])
def test_a_member_alone_says_what_it_says_among_others(made, name):
    """To the bit, but for the linear one, which then makes no unit rows."""
    taste, blocks = made
    spoilt = [block.copy() for block in blocks]
    spoilt[0][3, 5], spoilt[1][4, :] = np.inf, 0.0
    spoilt[1][6] *= 1e25  # its square is beyond float32, it is not
    member = next(m for m in taste._members if m.name == name)

    alone = Taste([member], member.calibrator, taste._columns, taste.dims).members(spoilt)[name]

    among = taste.members(spoilt)[name]
    assert np.flatnonzero(np.isnan(among)).tolist() == [3]
    np.testing.assert_allclose(alone, among, rtol=1e-5 if name == "logistic" else 0)


def test_stored_halves_score_like_themselves(made):
    taste, blocks = made
    halves = [block.astype(np.float16) for block in blocks]

    scores = taste.score(halves)

    assert np.array_equal(scores, taste.score([half.astype(np.float32) for half in halves]))
    assert scores == pytest.approx(taste.score(blocks), abs=0.02)


def test_no_rows_give_no_scores(made):
    assert made[0].score([np.empty((0, 24)), np.empty((0, 40))]).shape == (0,)


def test_rows_that_are_not_finite_have_no_score_and_spoil_no_other(made):
    taste, blocks = made
    spoilt = [block[:5].copy() for block in blocks]
    spoilt[0][1, 3] = np.nan
    spoilt[1][3, 0] = np.inf

    scores = taste.score(spoilt)

    assert np.isnan(scores).tolist() == [False, True, False, True, False]
    assert np.array_equal(scores[[0, 2, 4]], taste.score(blocks)[[0, 2, 4]])


def test_a_row_of_zeros_has_a_score(made):
    score = made[0].score([np.zeros((1, 24), np.float32), np.zeros((1, 40), np.float32)])

    assert 0.0 < score[0] < 1.0


def test_the_length_of_a_vector_does_not_matter(made):
    taste, blocks = made

    assert taste.score([blocks[0] * 7, blocks[1]]) == pytest.approx(taste.score(blocks), abs=1e-5)


@pytest.mark.parametrize(
    "shapes", [[(3, 24)], [(3, 24), (4, 40)], [(3, 40), (3, 24)], [(24,), (40,)], [(3, 2, 24)] * 2]
)
def test_wrong_blocks_are_refused_by_name(made, shapes):
    with pytest.raises(HeadError) as caught:
        made[0].score([np.zeros(shape, np.float32) for shape in shapes])

    assert caught.value.slug == "wrong-vectors"


def test_metadata_can_be_added(made):
    taste = made[0].with_meta(recipes=[{"backbone": "x"}], trust="good")

    assert taste.meta["trust"] == "good"
    assert taste.meta["name"] == "mine"
    assert taste.recipes == ({"backbone": "x"},)
    assert "trust" not in made[0].meta


def test_metadata_that_is_no_json_is_refused_and_nothing_is_written(made, tmp_path):
    with pytest.raises(HeadError) as caught:
        made[0].with_meta(worth=float("nan")).save(tmp_path / "x.safetensors")

    assert caught.value.slug == "bad-meta"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_an_error_with_a_remedy(made, tmp_path):
    with pytest.raises(HeadError) as caught:
        made[0].save(tmp_path / "nowhere" / "x.safetensors")

    assert caught.value.slug == "head-unwritable"
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_keeps_the_old_head(made, saved):
    before = saved.read_bytes()
    saved.parent.chmod(0o500)
    try:
        with pytest.raises(HeadError):
            made[0].save(saved)
    finally:
        saved.parent.chmod(0o700)

    assert saved.read_bytes() == before


def respoil(path, change_arrays=None, change_document=None):
    """Rewrite a head with something changed."""
    arrays = load_file(path)
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    document = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["vta"])
    if change_arrays:
        change_arrays(arrays)
    if change_document:
        document = change_document(document)
    text = document if isinstance(document, str) else json.dumps(document)
    save_file(arrays, path, metadata={"vta": text})


def without(document, name):
    return {key: value for key, value in document.items() if key != name}


BAD_DOCUMENTS = {
    "no json": lambda d: "{",
    "deep": lambda d: "[" * 100_000,
    "a list": lambda d: "[]",
    "other format": lambda d: d | {"format": "x"},
    "version a word": lambda d: d | {"version": "1"},
    "version zero": lambda d: d | {"version": 0},
    "dims a word": lambda d: d | {"dims": "24"},
    "dims negative": lambda d: d | {"dims": [-24, 40]},
    "dims other": lambda d: d | {"dims": [24, 41]},
    "dims huge": lambda d: d | {"dims": [10**12]},
    "dims true": lambda d: d | {"dims": [True, 63]},
    "no members": lambda d: d | {"members": []},
    "one member less": lambda d: d | {"members": d["members"][:-1]},
    "unknown kind": lambda d: d | {"members": [{**m, "kind": "os:system"} for m in d["members"]]},
    "kinds swapped": lambda d: d | {"members": d["members"][::-1]},
    "same names": lambda d: d | {"members": [{**m, "name": "x"} for m in d["members"]]},
    "unknown calibrator": lambda d: d | {"final": "magic"},
    "meta a list": lambda d: d | {"meta": []},
    "recipes words": lambda d: d | {"recipes": ["x"]},
    "normalise a word": lambda d: d | {"normalise": "yes"},
    "endless": lambda d: json.dumps(d).replace('"meta": {', '"meta": {"x": 1e999, '),
    "beyond a float": lambda d: d | {"meta": {"x": 10**400}},
    "not a number": lambda d: json.dumps(d | {"meta": {"x": float("nan")}}),
    **{f"no {key}": lambda d, key=key: without(d, key) for key in ("dims", "members", "meta")},
}


@pytest.mark.parametrize("case", list(BAD_DOCUMENTS))
def test_a_crooked_document_is_refused(saved, case):
    respoil(saved, change_document=BAD_DOCUMENTS[case])

    with pytest.raises(HeadError) as caught:
        Taste.load(saved)

    assert caught.value.slug == "head-unreadable"
    assert saved.name in caught.value.message


def test_a_newer_format_is_refused_by_name(saved):
    respoil(saved, change_document=lambda d: d | {"version": 99})

    with pytest.raises(HeadError) as caught:
        Taste.load(saved)

    assert caught.value.slug == "head-newer"
    assert "99" in caught.value.message


def test_every_array_is_checked(saved):
    names = list(load_file(saved))
    data = saved.read_bytes()
    for name in names:
        for spoil in (
            lambda a, n=name: a.pop(n),
            lambda a, n=name: a.__setitem__(n, a[n].reshape(-1)[:0]),
            lambda a, n=name: a.__setitem__(n, a[n].astype(np.float16)),
            lambda a, n=name: a.__setitem__(n, np.full_like(a[n], np.nan, dtype=np.float64)),
            lambda a, n=name: a.__setitem__(n, a[n][None]),
        ):
            saved.write_bytes(data)
            respoil(saved, change_arrays=spoil)
            with pytest.raises(HeadError) as caught:
                Taste.load(saved)
            assert caught.value.slug == "head-unreadable", name


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(HeadError) as caught:
        Taste.load(saved)

    assert caught.value.slug == "head-unreadable"


def test_flipped_bytes_end_in_an_error_or_in_a_working_head(saved, made):
    data = saved.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        spoilt = bytearray(data)
        for at in random.integers(0, len(data) if random.random() < 0.5 else 3000, 3):
            spoilt[at] ^= int(random.integers(1, 256))
        saved.write_bytes(bytes(spoilt))
        try:
            taste = Taste.load(saved)
            taste.score([np.ones((2, dim), np.float32) for dim in taste.dims])
        except HeadError:
            continue


def test_other_safetensors_and_missing_files_are_named(tmp_path):
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")

    with pytest.raises(HeadError) as other:
        Taste.load(tmp_path / "other.safetensors")
    with pytest.raises(HeadError) as missing:
        Taste.load(tmp_path / "missing.safetensors")

    assert other.value.slug == "head-unreadable"
    assert missing.value.slug == "no-such-head"


def test_scoring_needs_no_package_of_fitting(saved):
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from vta_cli.heads.taste import Taste\n"
        f"t = Taste.load(Path({str(saved)!r}))\n"
        "t.score([np.ones((3, d), np.float32) for d in t.dims])\n"
        "heavy = {'sklearn', 'scipy', 'lightgbm', 'torch', 'joblib', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
