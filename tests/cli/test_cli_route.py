"""`--route`, `--score-class` and `--column` through the real commands."""

import csv
import io
import json
import shutil

import pyarrow.parquet as pq
import pytest


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def sorted_out(drawn, vta, tmp_path_factory):
    """Return a folder with heads of every kind: classes, tags, yes and no, scores."""
    root = tmp_path_factory.mktemp("routed") / "work"
    shutil.copytree(drawn, root)
    names = sorted(path.name for path in (root / "pics").iterdir())
    kinds = ("disc, warm", "square", "odd")
    table = [["path", "label"]]
    table += [[f"pics/{name}", kinds[at % 2] if at > 3 else "odd"] for at, name in enumerate(names)]
    with (root / "kinds.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    tags = [f"pics/{name},{'disc;any' if at % 2 == 0 else 'any'}" for at, name in enumerate(names)]
    tags[0] = f"pics/{names[0]},disc"
    (root / "tags.csv").write_text("path,tags\n" + "\n".join(tags))
    scores = [f"pics/{name},{at}" for at, name in enumerate(names)]
    (root / "stars.csv").write_text("path,score\n" + "\n".join(scores))
    calls = [
        ["--labels", "kinds.csv", "--kind", "classes", "--name", "kind"],
        ["--labels", "tags.csv", "--name", "tags"],
        ["--labels", "stars.csv", "--name", "stars"],
        ["--pos", "liked", "--neg", "disliked", "--name", "taste", "--head", "logistic"],
    ]
    for call in calls:
        ran = vta("train", *call, "--preset", "classic", cwd=root)
        assert ran.code == 0, ran.err
    return root


def _alone(vta, root, model, *more):
    return _rows(vta("score", "pics", "--model", model, *more, cwd=root).out)


def test_each_image_gets_the_score_of_the_head_that_its_class_chooses(sorted_out, vta):
    ran = vta("score", "pics", "--route", "kind=disc, warm:taste,*:stars", cwd=sorted_out)
    assert ran.code == 0, ran.err
    assert "different scales" in ran.err
    rows = _rows(ran.out)
    kind, taste, stars = (_alone(vta, sorted_out, name) for name in ("kind", "taste", "stars"))
    names = ("odd", "disc, warm", "square")
    seen = set()
    for row, of_kind, of_taste, of_stars in zip(rows, kind, taste, stars, strict=True):
        likeliest = max(names, key=lambda name: float(of_kind[f"score.{name}"]))
        assert row["route"] == likeliest
        chosen = of_taste if likeliest == "disc, warm" else of_stars
        assert row["score"] == chosen["score"]
        assert row["reason"] == ""
        seen.add(likeliest)
    assert {"disc, warm", "square"} <= seen


def test_an_image_whose_label_has_no_model_says_so(sorted_out, vta):
    ran = vta("score", "pics", "--route", "kind=square:taste", "--format", "jsonl", cwd=sorted_out)
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in ran.out.splitlines()]
    for row in rows:
        if row["route"] == "square":
            assert (row["reason"], row["score"] is None) == ("", False)
        else:
            assert (row["reason"], row["score"]) == ("no-route", None)
    n_square = sum(row["route"] == "square" for row in rows)
    assert 0 < n_square < len(rows)
    assert f"{n_square} scored; without a score: {len(rows) - n_square} no-route" in ran.err
    strict = vta("score", "pics", "--route", "kind=square:taste", "--strict", cwd=sorted_out)
    assert strict.code == 3


def test_yes_and_no_and_tags_choose_too(sorted_out, vta):
    rows = _rows(vta("score", "pics", "--route", "taste=yes:stars,no:kind", cwd=sorted_out).out)
    alone = _alone(vta, sorted_out, "taste")
    for row, own in zip(rows, alone, strict=True):
        assert row["route"] == ("yes" if float(own["score"]) >= 0.5 else "no")
    ran = vta("score", "pics", "--route", "tags=disc:taste,*:stars", cwd=sorted_out)
    own = _alone(vta, sorted_out, "tags")
    # `any` is likelier than `disc`, but was not named
    for row, tags in zip(_rows(ran.out), own, strict=True):
        assert row["route"] == ("disc" if float(tags["score.disc"]) >= 0.5 else "-")
    assert {row["route"] for row in _rows(ran.out)} == {"disc", "-"}


def test_members_shows_what_all_heads_say_and_parquet_holds_the_route(sorted_out, vta):
    ran = vta(
        "score", "pics", "--route", "kind=square:taste,*:stars", "--members",
        "-o", "routed.parquet", cwd=sorted_out,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    table = pq.read_table(sorted_out / "routed.parquet").to_pydict()
    assert list(table)[:2] == ["path", "score"]
    assert list(table)[-2:] == ["route", "reason"]
    for at, route in enumerate(table["route"]):
        assert table["score"][at] == table["taste" if route == "square" else "stars"][at]
    assert "kind.square" in table


def test_sort_and_filter_route_themselves_or_through_the_file(sorted_out, vta):
    way = ["--route", "kind=square:taste,*:taste"]
    alone = vta("sort", "pics", "--model", "taste", cwd=sorted_out).out
    assert vta("sort", "pics", *way, cwd=sorted_out).out == alone
    (sorted_out / "routed.csv").write_text(
        vta("score", "pics", "--route", "kind=square:taste", cwd=sorted_out).out
    )
    direct = vta("filter", "pics", "--route", "kind=square:taste", "-t", 0, cwd=sorted_out)
    from_file = vta("filter", "routed.csv", "-t", 0, cwd=sorted_out)
    assert direct.out
    assert direct.out == from_file.out


@pytest.mark.parametrize(
    ("way", "slug", "hint"),
    [
        (["kind=sqare:taste"], "no-such-label", "did you mean square?"),
        (["kind=square:tast"], "no-head", "taste"),
        (["kin=square:taste"], "no-head", "kind"),
        (["stars=square:taste"], "no-classifier", "classes, tags"),
        (["kind"], "bad-route", "CLASSIFIER=LABEL:MODEL"),
        (["kind=square"], "bad-route", "CLASSIFIER=LABEL:MODEL"),
        (["kind=square:taste,"], "bad-route", "CLASSIFIER=LABEL:MODEL"),
        (["kind=square:taste,square:stars"], "bad-route", "one model"),
        (["kind=square:taste", "tags=disc:taste"], "bad-route", "--route kind="),
    ],
)
def test_routes_that_lead_nowhere_are_refused(sorted_out, vta, way, slug, hint):
    options = [word for one in way for word in ("--route", one)]
    ran = vta("score", "pics", *options, cwd=sorted_out)
    assert (ran.code, ran.out) == (2, "")
    assert slug in ran.err
    assert hint in ran.err
    beside = vta("score", "pics", *options, "--model", "taste", cwd=sorted_out)
    assert "two-models" in beside.err


def test_score_class_takes_the_likeliest_of_those_named_or_not_excluded(sorted_out, vta):
    plain = _alone(vta, sorted_out, "kind")
    one = _alone(vta, sorted_out, "kind", "--score-class", "odd", "--score-class", "square")
    two = _alone(vta, sorted_out, "kind", "--score-class", "!disc, warm")
    for row, named, others in zip(plain, one, two, strict=True):
        best = max(float(row["score.odd"]), float(row["score.square"]))
        assert float(named["score"]) == float(others["score"]) == best
    kept = vta(
        "filter", "pics", "--model", "kind", "--score-class", "square", "-t", 0.5, cwd=sorted_out
    )
    wanted = [row["path"] for row in plain if float(row["score.square"]) >= 0.5]
    assert kept.out.split() == wanted


@pytest.mark.parametrize(
    ("options", "slug"),
    [
        (["--model", "kind", "--score-class", "squar"], "no-such-class"),
        (["--model", "kind", "--score-class", "odd", "--score-class", "!square"], "wrong-option"),
        (["--model", "stars", "--score-class", "odd"], "wrong-option"),
        (["--model", "taste", "--score-class", "yes"], "wrong-option"),
    ],
)
def test_classes_that_cannot_be_scored_are_refused(sorted_out, vta, options, slug):
    ran = vta("score", "pics", *options, cwd=sorted_out)
    assert ran.code == 2
    assert slug in ran.err


def test_any_column_of_a_scores_file_can_be_sorted(sorted_out, vta):
    ran = vta("score", "pics", "-m", "taste", "-m", "stars", "-o", "both.csv", cwd=sorted_out)
    assert ran.code == 0, ran.err
    ranked = _rows(vta("sort", "both.csv", "--column", "stars", cwd=sorted_out).out)
    alone = _rows(vta("sort", "pics", "--model", "stars", cwd=sorted_out).out)
    assert [row["score"] for row in ranked] == [row["score"] for row in alone]
    piped = (sorted_out / "both.csv").read_bytes()
    again = vta("sort", "-", "--column", "stars", cwd=sorted_out, stdin=piped)
    assert _rows(again.out) == ranked
    # without a column that is there it is still no list of images to be scored anew
    both = (sorted_out / "both.csv").read_text().splitlines()[1].split(",")
    row = json.dumps({"path": both[0], "taste": float(both[1]), "stars": float(both[2])})
    (sorted_out / "both.jsonl").write_text(row + "\n")
    for file, column in (("both.csv", "star"), ("both.csv", "score"), ("both.jsonl", "score")):
        lost = vta("sort", file, "--column", column, cwd=sorted_out)
        assert lost.code == 2
        assert "no-score-column" in lost.err
        assert "path, taste, stars" in lost.err
        assert "--column" in lost.err


def test_rows_of_scores_and_paths_both_come_through_a_pipe(sorted_out, vta):
    """Whatever the format, the rows are taken as they are; a list of paths is scored."""
    paths = "\n".join(str(path) for path in sorted((sorted_out / "pics").glob("*.jpg")))
    wanted = _rows(vta("sort", "pics", "--model", "taste", cwd=sorted_out).out)
    listed = vta("sort", "-", "--model", "taste", cwd=sorted_out, stdin=paths.encode())
    assert _rows(listed.out) == wanted
    for form in ("jsonl", "parquet"):
        out = sorted_out / f"piped.{form}"
        assert vta("score", "pics", "-m", "taste", "-o", out, cwd=sorted_out).code == 0
        ran = vta("sort", "-", cwd=sorted_out, stdin=out.read_bytes())
        assert ran.code == 0, ran.err
        assert [row["path"] for row in _rows(ran.out)] == [row["path"] for row in wanted]
    nothing = vta("filter", "-", "-t", "0", cwd=sorted_out, stdin=b"")
    assert nothing.code == 2
    assert "no-images" in nothing.err


def test_scores_files_with_semicolons_are_read_as_tables_of_labels_are(sorted_out, vta):
    ran = vta("score", "pics", "-m", "taste", cwd=sorted_out)
    (sorted_out / "semi.csv").write_text(ran.out.replace(",", ";"))
    (sorted_out / "comma.csv").write_text(ran.out)
    semi = vta("sort", "semi.csv", cwd=sorted_out)
    assert semi.code == 0, semi.err
    assert semi.out
    assert semi.out == vta("sort", "comma.csv", cwd=sorted_out).out
