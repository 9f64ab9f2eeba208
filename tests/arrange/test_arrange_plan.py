"""Plans: where each file goes, decided without touching anything."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.arrange.names import folded
from vta_cli.arrange.plan import Action, Item, check_output, plan
from vta_cli.errors import UsageError

NOWHERE = Path("/nonexistent-output-of-a-test")


def destinations(items, out=NOWHERE, action=Action.COPY, **options):
    return [os.path.relpath(step.destination, out) for step in plan(items, out, action, **options)]


def item(source, rel=None, name=None):
    return Item(source, rel if rel is not None else source.lstrip("/"), name)


def test_the_tree_is_kept():
    assert destinations([item("/p/a/1.jpg", "a/1.jpg"), item("/p/2.jpg", "2.jpg")]) == [
        "a/1.jpg",
        "2.jpg",
    ]


def test_a_wanted_name_replaces_the_last_part():
    assert destinations([item("/p/a/1.jpg", "a/1.jpg", "0001_0.97_1.jpg")]) == ["a/0001_0.97_1.jpg"]


def test_flat_names_that_collide_get_a_mark_before_the_extension():
    found = destinations([item("/p/a/1.jpg"), item("/p/b/1.jpg"), item("/p/c/1.JPG")], flat=True)

    assert found[0] == "1.jpg"
    assert found[1].startswith("1-")
    assert found[1].endswith(".jpg")
    assert found[2].endswith(".JPG")
    assert len({name.lower() for name in found}) == 3


@pytest.mark.parametrize("rel", ["../../etc/passwd", "/etc/passwd", "a/../../etc/passwd"])
def test_nothing_leads_out_of_the_output(rel):
    (found,) = destinations([item("/p/x", rel)])

    assert ".." not in Path(found).parts
    assert found.endswith("etc/passwd")


def test_a_wanted_name_cannot_make_folders():
    assert destinations([item("/p/x.jpg", "x.jpg", "../../up.jpg")]) == ["up.jpg"]


def test_a_file_never_takes_the_name_of_a_folder():
    found = destinations([item("/p/a", "a"), item("/q/a/b.jpg", "a/b.jpg")])

    assert found[1] == "a/b.jpg"
    assert found[0].startswith("a-")


def test_a_source_named_twice_is_taken_once():
    assert destinations([item("/p/x.jpg"), item("/p/x.jpg")]) == ["p/x.jpg"]
    assert destinations(
        [item("/p/x.jpg", "x.jpg", "1.jpg"), item("/p/x.jpg", "x.jpg", "2.jpg")],
        action=Action.MOVE,
    ) == ["1.jpg"]


names = st.text(alphabet="aAéÉb.\udcff", min_size=1, max_size=4)
wishes = st.lists(
    st.tuples(st.lists(names, min_size=1, max_size=3), st.none() | names), max_size=25
)


@settings(deadline=None)
@given(wishes, st.booleans())
def test_the_laws_of_a_plan(wishes, flat):
    items = [
        Item(f"/src/{number}/" + "/".join(parts), "/".join(parts), name)
        for number, (parts, name) in enumerate(wishes)
    ]

    found = plan(items, NOWHERE, Action.COPY, flat=flat)

    assert [step.source for step in found] == [it.source for it in items]
    keys = [folded(os.path.relpath(step.destination, NOWHERE)) for step in found]
    assert len(set(keys)) == len(keys)  # apart, even where letter case does not count
    folders = {key.rsplit("/", depth)[0] for key in keys for depth in range(1, key.count("/") + 1)}
    assert not folders & set(keys)
    for step in found:
        below = Path(os.path.normpath(step.destination)).relative_to(NOWHERE)
        assert str(NOWHERE / below) == step.destination
        assert len(below.parts) == 1 or not flat
    assert plan(items, NOWHERE, Action.COPY, flat=flat) == found


class TestWhatIsThere:
    """The output folder holds files already."""

    @pytest.fixture
    def photo(self, tmp_path):
        source = tmp_path / "photos" / "1.jpg"
        source.parent.mkdir()
        source.write_bytes(b"mine")
        (tmp_path / "out").mkdir()
        return source

    def test_the_same_content_is_there_already(self, tmp_path, photo):
        (tmp_path / "out" / "1.jpg").write_bytes(b"mine")

        found = plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)

        assert len(found) == 0
        assert [step.source for step in found.already] == [str(photo)]
        assert found  # not empty: there is something to tell

    def test_another_content_is_never_overwritten(self, tmp_path, photo):
        (tmp_path / "out" / "1.jpg").write_bytes(b"othr")

        (step,) = plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)

        assert not Path(step.destination).exists()
        assert Path(step.destination).name.startswith("1-")

    def test_a_marked_copy_of_an_earlier_run_is_known_again(self, tmp_path, photo):
        (tmp_path / "out" / "1.jpg").write_bytes(b"othr")
        (step,) = plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)
        Path(step.destination).write_bytes(b"mine")

        again = plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)

        assert [step.destination for step in again.already] == [step.destination]

    def test_a_link_to_the_source_is_there_already(self, tmp_path, photo):
        (tmp_path / "out" / "1.jpg").symlink_to(photo)

        assert plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.SYMLINK).already
        assert len(plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)) == 1

    def test_a_link_that_leads_nowhere_is_not_overwritten(self, tmp_path, photo):
        (tmp_path / "out" / "1.jpg").symlink_to("nowhere")

        (step,) = plan([Item(str(photo), "1.jpg")], tmp_path / "out", Action.COPY)

        assert not os.path.lexists(step.destination)

    def test_a_folder_link_that_leads_out_is_refused(self, tmp_path, photo):
        (tmp_path / "out" / "sub").symlink_to(tmp_path)

        with pytest.raises(UsageError, match="leads out") as caught:
            plan([Item(str(photo), "sub/1.jpg")], tmp_path / "out", Action.COPY)
        assert caught.value.slug == "output-escapes"


class TestOutputAndSource:
    """Results must not become sources of the next run."""

    @pytest.mark.parametrize(
        ("out", "source"), [("a/out", "a"), ("a", "a"), ("a", "a/photos"), ("link/out", "a")]
    )
    def test_one_within_the_other_is_refused(self, tmp_path, out, source):
        (tmp_path / "a" / "photos").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "a")

        with pytest.raises(UsageError) as caught:
            plan([], tmp_path / out, Action.COPY, sources=[tmp_path / source])
        assert caught.value.slug == "output-inside-source"
        assert caught.value.hint

    def test_beside_each_other_is_fine(self, tmp_path):
        (tmp_path / "photos").mkdir()

        check_output(tmp_path / "photos-liked", [tmp_path / "photos"])

    def test_a_file_in_the_way_is_refused(self, tmp_path):
        (tmp_path / "out").write_text("not a folder")

        with pytest.raises(UsageError) as caught:
            check_output(tmp_path / "out" / "sub", [])
        assert caught.value.slug == "output-not-a-folder"
