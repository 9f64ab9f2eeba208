"""File names: short enough, safe, apart."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.arrange.names import fit, folded, mark, name_limit, safe_parts

# what a Linux file name may be: any bytes but the slash and the zero
file_names = (
    st.binary(min_size=1, max_size=300)
    .map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
    .map(os.fsdecode)
)


@settings(deadline=None)
@given(file_names, st.sampled_from(["", "-abc123", "-abc123-2"]))
def test_a_fitted_name_is_short_enough_and_keeps_its_extension(name, suffix):
    fitted = fit(name, 255, suffix)

    assert len(os.fsencode(fitted)) <= 255
    extension = Path(name).suffix
    if len(os.fsencode(extension)) <= 16:
        assert fitted.endswith(suffix + extension)


def test_a_short_name_stays_as_it_is():
    assert fit("a.v1.jpg", 255) == "a.v1.jpg"
    assert fit(".hidden", 255, "-x") == ".hidden-x"


def test_long_names_with_the_same_beginning_stay_apart():
    first, second = (fit("x" * 300 + end + ".jpg", 255) for end in "ab")

    assert first != second
    assert fit("x" * 300 + "a.jpg", 255) == first


def test_a_shortened_name_has_no_half_characters():
    fitted = fit("é" * 200 + ".jpg", 255)

    fitted.encode("utf-8")  # a half character would be a surrogate and raise
    assert fitted.startswith("é" * 100)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab./"), max_size=20))
def test_parts_never_lead_out_of_a_folder(rel):
    parts = safe_parts(rel)

    assert not {"", ".", ".."} & set(parts)
    assert not os.path.isabs("/".join(parts))


def test_names_that_some_file_systems_hold_equal_are_folded_together():
    assert folded("A/ÉTÉ.JPG") == folded("a/e\u0301te\u0301.jpg")
    assert folded("A.JPG") == folded("a.jpg")
    assert folded("a.jpg") != folded("b.jpg")


def test_the_mark_of_a_path_is_always_the_same():
    assert mark("/a/b.jpg") == mark("/a/b.jpg") != mark("/a/c.jpg")
    assert len(mark("/a/\udcff.jpg")) == 6


def test_the_limit_of_a_folder_that_is_yet_to_be_made(tmp_path):
    assert 100 <= name_limit(tmp_path / "new" / "newer") <= 255


@pytest.mark.parametrize("name", ["a" * 255, "a" * 251 + ".jpg"])
def test_names_at_the_limit_are_left_alone(name):
    assert fit(name, 255) == name
