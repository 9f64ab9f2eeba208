"""Files of settings for `vta train --config`, and what is kept beside a head."""

import csv
import io
import xml.etree.ElementTree as ET

import pytest

from vta_cli.errors import UsageError
from vta_cli.heads.network import n_parameters, settings_of
from vta_cli.heads.registry import NETWORKS
from vta_cli.pages.curve import curve_svg
from vta_cli.pipelines.head_config import read_head_config, shipped
from vta_cli.pipelines.labelled import ByGradients
from vta_cli.pipelines.train_gradients import curve_csv, head_of
from vta_cli.records import Curve


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_files_are_whole(name):
    found = read_head_config(name)
    assert found.head in NETWORKS
    assert found.name == name
    settings_of(found.settings)
    assert set(found.score_class) <= set(found.class_names.values())


def test_the_published_numbers():
    compression = read_head_config("cc-compression")
    assert compression.class_names == {0: "Pass", 1: "JPEG", 2: "WEBP"}
    assert compression.class_weights == {"Pass": 1.0, "JPEG": 0.85, "WEBP": 0.65}
    settings = settings_of(compression.settings)
    assert (settings.lr, settings.steps, settings.batch) == (2.7e-6, 40_000, 1)
    assert n_parameters(settings, 768, 3) == 4_077_891
    chroma = read_head_config("cc-chromatic-aberration")
    assert chroma.class_weights == {"Pass": 1.0, "Chromatic Aberration": 0.5}
    assert settings_of(chroma.settings).lr == 1.5e-6
    assert settings_of(chroma.settings).steps == 30_000
    city = settings_of(read_head_config("city-aesthetics-anime").settings)
    assert (city.lr, city.steps, city.loss) == (7e-6, 100_000, "l1")
    aesthetic = settings_of(read_head_config("nima-aesthetic").settings)
    assert (aesthetic.hidden, aesthetic.dropout) == (0, 0.75)
    assert (aesthetic.epochs, aesthetic.batch, aesthetic.lr) == (5, 96, 1e-3)
    assert n_parameters(aesthetic, 1024, 10) == 10_250  # NIMA's dense layer


@pytest.mark.parametrize(
    ("text", "slug"),
    [("lr = 1", "unknown-setting"), ("head = 3", "bad-config"), ("= 1", "bad-config"),
     ("[classes.a]\nname = 'x'", "bad-config"), ("[classes.0]\nloss = 1.0", "bad-config"),
     ("[classes.0]\nname = 'x'\nweight = 2", "unknown-setting"),
     ("[classes.0]\nname = 'x'\n[classes.1]\nname = 'x'", "bad-config")],
)  # fmt: skip
def test_files_that_make_no_sense(text, slug, tmp_path):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_head_config(str(tmp_path / "a.toml"))
    assert caught.value.slug == slug


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        read_head_config("cc-compresion")
    assert "cc-compression" in caught.value.hint


def test_settings_are_for_heads_that_learn_by_gradients():
    for by in (ByGradients({"lr": 1e-3}), ByGradients(resume="old")):
        with pytest.raises(UsageError) as caught:
            head_of("ridge", by)
        assert caught.value.slug == "wrong-option"
    assert head_of("ridge", ByGradients()) == "ridge"


def test_curves_are_saved_readable():
    nan = float("nan")
    curve = Curve((10, 20, 25), (0.5, 0.3, 0.2), (0.6, 0.4, 0.45), (1e-3, 5e-4, 1e-4), 1)
    rows = list(csv.DictReader(io.StringIO(curve_csv(curve))))
    assert [row["rows_seen"] for row in rows] == ["10", "20", "25"]
    assert [row["kept"] for row in rows] == ["0", "1", "0"]
    assert rows[2]["held_out_loss"] == "0.45"
    drawn = ET.fromstring(curve_svg(curve, "a<b>"))
    lines = [e.get("points") for e in drawn if e.tag.endswith("polyline")]
    assert [len(points.split()) for points in lines] == [3, 3]
    alone = Curve((5,), (0.5,), (nan,), (1e-3,), 0)
    (row,) = csv.DictReader(io.StringIO(curve_csv(alone)))
    assert row["held_out_loss"] == ""
    assert "nan" not in curve_svg(alone, "x")
