"""Made pictures: the same from the same seed, with a truth that can be trusted and learned."""

import dataclasses
import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.images.decode import decode
from vta_cli.images.drawn import KINDS, LEAST_IMAGES, describe_taste, make_folder
from vta_cli.images.drawn_odd import COPY_WAYS
from vta_cli.images.drawn_shot import Shot, take

SIDE_PX = 160
N_IMAGES = 260


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def truth(folder):
    return make_folder(folder, n_images=N_IMAGES, seed=3, side_px=SIDE_PX)


@pytest.fixture(scope="module")
def pictures(truth):
    return [one for one in truth if one.true_label is not None and one.copy_of is None]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_files_and_truth(tmp_path):
    first = make_folder(tmp_path / "a", n_images=LEAST_IMAGES, seed=7, side_px=96)
    again = make_folder(tmp_path / "b", n_images=LEAST_IMAGES, seed=7, side_px=96)

    assert first == again
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_another_seed_gives_other_pictures(tmp_path):
    make_folder(tmp_path / "a", n_images=LEAST_IMAGES, seed=1, side_px=96)
    make_folder(tmp_path / "b", n_images=LEAST_IMAGES, seed=2, side_px=96)

    texts = {"not-a-picture.jpg"}
    ones = {d for name, d in digests(tmp_path / "a").items() if name not in texts}
    twos = {d for name, d in digests(tmp_path / "b").items() if name not in texts}
    assert not ones & twos


def test_a_picture_does_not_depend_on_how_many_follow(tmp_path):
    few = make_folder(tmp_path / "few", n_images=20, seed=5, side_px=96)
    make_folder(tmp_path / "more", n_images=30, seed=5, side_px=96)

    names = [one.name for one in few if one.copy_of is None and one.true_label is not None]
    assert len(names) == 16
    for name in names:
        assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()


def test_every_file_has_its_truth_and_every_kind_comes(folder, truth):
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    assert on_disk == {one.name for one in truth}
    assert len(truth) == N_IMAGES + 2
    kinds = Counter(one.kind for one in truth)
    assert set(kinds) == {*KINDS, "unreadable"}
    assert min(kinds[kind] for kind in KINDS) > N_IMAGES / 10


def test_as_many_are_liked_as_not(pictures):
    liked = sum(one.true_label for one in pictures)

    assert abs(liked - len(pictures) / 2) <= 1


def test_the_stated_chances_are_those_of_the_labels(pictures):
    chances = np.array([one.liked_probability for one in pictures])
    labels = np.array([one.true_label for one in pictures])

    for low, high in ((0, 0.2), (0.2, 0.8), (0.8, 1)):
        inside = (chances >= low) & (chances <= high)
        error = (chances[inside] * (1 - chances[inside])).sum() ** 0.5
        assert abs(labels[inside].sum() - chances[inside].sum()) < 3 * error + 1


def test_perfect_agreement_is_impossible_but_good_agreement_is_not(pictures):
    chances = np.array([one.liked_probability for one in pictures])
    labels = np.array([one.true_label for one in pictures])

    assert 0.95 < auc(labels, chances) < 0.997


def test_all_pictures_but_two_can_be_read(folder, truth):
    for one in truth:
        data = (folder / one.name).read_bytes()
        if one.kind == "unreadable":
            with pytest.raises(UnreadableImageError):
                decode(data)
        else:
            picture = decode(data)
            assert max(picture.width, picture.height) >= SIDE_PX * 0.6
            assert picture.pixels.std() > 3


def test_the_broken_files_are_broken_in_two_ways(folder):
    with pytest.raises(UnreadableImageError) as torn:
        decode((folder / "broken.jpg").read_bytes())
    with pytest.raises(UnreadableImageError) as text:
        decode((folder / "not-a-picture.jpg").read_bytes())

    assert torn.value.slug == "truncated"
    assert text.value.slug == "not-an-image"


def test_near_copies_are_declared_and_look_like_their_originals(folder, truth):
    by_name = {one.name: one for one in truth}
    copies = [one for one in truth if one.copy_of]

    assert {way for way in COPY_WAYS for one in copies if way in one.name} == set(COPY_WAYS)
    for one in copies:
        original = by_name[one.copy_of]
        assert (one.true_label, one.kind) == (original.true_label, original.kind)
        assert np.abs(tiny(folder, one) - tiny(folder, original)).mean() < 12


def test_a_same_bytes_copy_has_the_same_bytes(folder, truth):
    same = [one for one in truth if "same-bytes" in one.name]

    assert same
    for one in same:
        assert (folder / one.name).read_bytes() == (folder / one.copy_of).read_bytes()


def test_different_pictures_differ(folder, pictures):
    thumbs = np.stack([tiny(folder, one).ravel() for one in pictures])
    gaps = np.abs(thumbs[:, None] - thumbs[None]).mean(axis=2)
    np.fill_diagonal(gaps, np.inf)

    assert gaps.min() > 1.5


def test_one_picture_is_transparent_and_one_lies_on_its_side(folder, truth):
    (clear,) = [one for one in truth if one.name.endswith("-transparent.png")]
    (turned,) = [one for one in truth if one.name.endswith("-rotated.jpg")]

    with Image.open(folder / clear.name) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((0, 0))[3] == 0
        assert image.getpixel((image.width // 2, image.height // 2))[3] == 255
    with Image.open(folder / turned.name) as image:
        stored = image.size
        assert image.getexif()[0x0112] == 6
    seen = decode((folder / turned.name).read_bytes())
    assert (seen.width, seen.height) == stored[::-1]
    assert seen.pixels[:10].mean() > seen.pixels[-10:].mean()  # walls are lighter above


def test_the_taste_can_be_learned_from_the_pixels_but_not_perfectly(folder, pictures):
    rng = np.random.default_rng(0)
    labels = np.array([one.true_label for one in pictures])
    seen = np.stack([look(folder, one) for one in pictures])
    results = []
    for _ in range(5):
        train = np.concatenate([rng.choice(np.flatnonzero(labels == c), 60, False) for c in (0, 1)])
        rest = np.setdiff1d(np.arange(len(labels)), train)
        results.append(auc(labels[rest], ridge_scores(seen, labels, train)[rest]))

    assert 0.72 < np.mean(results) < 0.96


def test_too_few_pictures_are_refused(tmp_path):
    with pytest.raises(UsageError, match="would not hold every kind") as caught:
        make_folder(tmp_path / "few", n_images=LEAST_IMAGES - 1)

    assert caught.value.slug == "too-few-images"
    assert not (tmp_path / "few").exists()


def test_the_taste_is_told_in_one_sentence():
    assert describe_taste().endswith(".")
    assert describe_taste().count(".") == 1


def test_drawing_never_imports_scikit_learn(tmp_path):
    code = (
        "import sys; from pathlib import Path; from vta_cli.images.drawn import make_folder;"
        f"make_folder(Path({str(tmp_path)!r}), n_images=20, side_px=64);"
        "print(sorted({'sklearn', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def shots():
    return st.integers(0, 2**32 - 1).map(
        lambda seed: take(np.random.default_rng(seed), (384, 256), 0.8)
    )


@given(shots(), st.floats(0, 4), st.floats(0.01, 1))
def test_more_blur_is_never_liked_better(shot, blur_px, more):
    softer = dataclasses.replace(shot, blur_px=blur_px + more)

    assert softer.liking <= dataclasses.replace(shot, blur_px=blur_px).liking


@given(shots(), st.floats(-1, 0.9), st.floats(0.01, 0.1))
def test_warmer_light_is_always_liked_better(shot, warmth, more):
    warmer = dataclasses.replace(shot, warmth=warmth + more)

    assert warmer.liking > dataclasses.replace(shot, warmth=warmth).liking


@given(shots(), st.floats(0, 2), st.floats(0.01, 1), st.sampled_from((-1, 1)))
def test_a_wrong_exposure_is_never_liked_better(shot, stops, more, sign):
    right = dataclasses.replace(shot, exposure_ev=sign * stops)
    wrong = dataclasses.replace(shot, exposure_ev=sign * (stops + more))

    assert wrong.liking <= right.liking


@given(shots())
def test_what_is_cut_off_is_liked_less(shot):
    whole = dataclasses.replace(shot, x=0.5, y=0.5, extent=0.5)
    half_out = dataclasses.replace(whole, x=0.0)

    assert whole.cut == pytest.approx(0)
    assert half_out.cut == pytest.approx(0.5)
    assert half_out.liking < whole.liking - 0.5


@given(shots())
def test_framing_and_cut_stay_within_their_range(shot: Shot):
    assert 0 <= shot.cut <= 1
    assert 0 <= shot.framing <= 1


def tiny(folder, one):
    """Return the picture at 16 x 16 pixels, float."""
    image = Image.fromarray(decode((folder / one.name).read_bytes()).pixels)
    return np.asarray(image.resize((16, 16), Image.Resampling.BOX), float)


def look(folder, one):
    """Return simple features: colour by cell, gradient energy by cell, direction and scale."""
    image = Image.fromarray(decode((folder / one.name).read_bytes()).pixels)
    colour = np.asarray(image.resize((4, 4), Image.Resampling.BOX), float).ravel() / 255
    parts = [3 * colour]
    for side in (64, 128):
        grey = np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), float)
        dy, dx = np.gradient(grey)
        angle = (np.arctan2(dy, dx) % np.pi) // (np.pi / 6)
        for part in range(6):
            energy = np.where(angle == part, np.hypot(dx, dy), 0)
            cells = energy.reshape(8, side // 8, 8, side // 8).mean(axis=(1, 3))
            parts.append(0.3 * np.log1p(cells).ravel())
    return np.concatenate(parts)


def ridge_scores(X, labels, train):
    """Fit a ridge on the rows `train`, score all rows."""
    centred = X - X[train].mean(axis=0)
    gram = centred @ centred[train].T
    target = labels[train] - labels[train].mean()
    penalty = 0.1 * np.trace(gram[train]) / len(train)
    return gram @ np.linalg.solve(gram[train] + penalty * np.eye(len(train)), target)


def auc(labels, scores):
    """Return the share of (liked, not liked) pairs in the right order."""
    gaps = scores[labels == 1][:, None] - scores[labels == 0][None]
    return ((gaps > 0) + 0.5 * (gaps == 0)).mean()
