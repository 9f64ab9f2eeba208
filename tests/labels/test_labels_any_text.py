"""Whatever a file of labels holds, it ends as labels or as an error with a remedy."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.labels.distribution import distribution
from vta_cli.labels.registry import merge_of, reader
from vta_cli.records import ImageRef

TABLES = ("labels", "table", "scores", "tier-table", "class-table", "tags", "pairs")
LISTED = ("histograms", "nima", "ava", "tid2013", "sac", "counts", "ava-tags")

cells = st.sampled_from(
    [
        "a.jpg", "b.jpg", "a", "1", "0", "-1", "5.5", "1e400", "nan", "9" * 5000, "yes", "no", "",
        "dog;cat", "!x", "-", "\0", "left", "tie", "ann", "é", "[]", "'", '"', '"a,b"', "1_0", " ",
    ]
)  # fmt: skip
HEADS = "path label score tags tag:x 1 2 c1 c2 weight rater left right winner loser image_id counts"
heads = st.sampled_from(HEADS.split())
numbers = st.sampled_from([0, 1, -1, 2.5, 10**400, float("nan"), True, None])
values = st.one_of(cells, numbers, st.lists(st.one_of(numbers, cells), max_size=4))
csv_texts = st.builds(
    lambda head, rows: "\n".join(",".join(row) for row in [["path", *head], *rows]),
    st.lists(heads, max_size=5),
    st.lists(st.lists(cells, max_size=6), max_size=5),
)
json_rows = st.lists(st.dictionaries(heads, values, max_size=4), max_size=4)
json_lines = json_rows.map(lambda rows: "\n".join(map(json.dumps, rows)))
entries = st.fixed_dictionaries(
    {"image_id": st.sampled_from(["a", "b", 1]), "label": st.lists(numbers, max_size=4)}
)
plain_lines = st.lists(st.lists(cells, min_size=2, max_size=15), max_size=3).map(
    lambda rows: "\n".join(" ".join(row) for row in rows)
)
files = st.one_of(
    st.tuples(st.just("x.csv"), csv_texts),
    st.tuples(st.just("x.jsonl"), json_lines),
    st.tuples(st.just("x.json"), st.lists(st.one_of(entries, numbers)).map(json.dumps)),
    st.tuples(st.just("x.txt"), plain_lines),
    st.tuples(st.just("x.csv"), st.text(st.characters(codec="utf-8"), max_size=60)),
    st.just(("x.csv", "path,label\n" + "x" * 200_000 + ",1")),
    st.just(("x.csv", "x" * 200_000)),
    st.just(("x.json", "[" * 100_000)),
)


@pytest.mark.parametrize("name", [*TABLES, *LISTED])
@settings(
    deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(file=files)
def test_nothing_but_labels_or_an_error_with_a_remedy(tmp_path, name, file):
    for stem in "ab":
        (tmp_path / f"{stem}.jpg").write_bytes(b"x")
    path = tmp_path / file[0]
    path.write_bytes(file[1].encode())
    images = [ImageRef(str(tmp_path / f"{stem}.jpg"), f"{stem}.jpg", 1, 1) for stem in "ab"]
    labels = attempt(reader(name), path) if name in TABLES else attempt(reader(name), path, images)
    if isinstance(labels, UsageError):
        assert labels.hint
        return
    assert labels.labels
    assert all(label.weight > 0 for label in labels.labels)
    assert all(Path(label.path).parent == tmp_path for label in labels.labels)
    assert all(count >= 0 for _, count in distribution(labels))
    keys = {found: Path(found).name.encode().ljust(32) for found in labels.paths()}
    judged = attempt(merge_of(labels.kind), labels, keys, on_conflict="drop")
    if isinstance(judged, UsageError):
        assert judged.hint
    else:
        assert len(judged.paths) == len(judged.keys)


def attempt(call, *args, **options):
    try:
        return call(*args, **options)
    except UsageError as error:
        return error
