"""Bad use: one clear line with a remedy, the right exit code, nothing lost."""

import os
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vta_cli.__main__ import main
from vta_cli.pipelines.sources import Source


def one_line(ran, slug, code):
    """Check an error: `error[slug]: ...` once, a hint, no traceback, nothing on stdout."""
    assert ran.code == code, ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("error[")]
    assert len(errors) == 1, ran.err
    assert errors[0].startswith(f"error[{slug}]: ")
    assert "hint:" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("args", "slug"),
    [
        (["embed", "nosuch/"], "no-such-source"),
        (["embed", "pic"], "no-such-source"),
        (["embed", "empty"], "no-images"),
        (["embed", "texts"], "no-images"),
        (["embed", "pics", "--backbone", "clasic"], "unknown-backbone"),
        (["embed", "pics", "--preset", "vta3"], "unknown-preset"),
        (["embed", "pics", "--symlinks", "maybe"], "bad-choice"),
        (["embed", "pics", "--store", "no/such/.vta"], "no-such-folder"),
        (["train", "--pos", "liked"], "one-class-empty"),
        (["train"], "no-labels"),
        (["train", "--pos", "liked", "--neg", "empty"], "no-images"),
        (["train", "--pos", "liked", "--neg", "liked"], "label-conflict"),
        (["train", "--pos", "liked", "--neg", "disliked", "--head", "magic"], "unknown-head"),
        (["train", "--pos", "liked", "--neg", "disliked", "--name", "../x"], "bad-name"),
        (["score", "nosuch"], "no-such-source"),
        (["score", "pics", "--model", "other"], "no-head"),
        (["score", "pics", "--format", "xml"], "bad-choice"),
        (["score", "pics", "-o", "no/such/s.csv"], "no-such-folder"),
        (["filter", "pics"], "no-rule"),
        (["filter", "pics", "--threshold", "1.5"], "threshold-outside-range"),
        (["filter", "pics", "--band", "0.9", "0.6"], "band-reversed"),
        (["filter", "pics", "--threshold", "nan"], "bad-threshold"),
        (["filter", "pics", "--top", "0"], "bad-top"),
        (["filter", "pics", "--top", "150%"], "bad-top"),
        (["filter", "pics", "--top", "3", "--copy-to", "pics/out"], "output-inside-source"),
        (["filter", "pics", "--top", "3", "--copy-to", "a", "--move-to", "b"], "two-actions"),
        (["filter", "pics", "--top", "3", "--flat"], "no-target"),
        (["sort", "pics", "--by", "colour"], "bad-choice"),
        (["sort", "pics", "--move"], "no-target"),
        (["sort", "pics", "--by", "bracket"], "no-target"),
        (["filter", "pics", "--top", "3", "-0", "--copy-to", "out"], "no-paths"),
        (["dedupe", "pics", "--threshold", "1.5"], "threshold-outside-range"),
        (["dedupe", "pics", "--margin", "-0.1"], "bad-margin"),
        (["dedupe", "pics", "--margin", "nan"], "bad-margin"),
        (["dedupe", "pics", "--margin", "9"], "bad-margin"),
        (["embed", "pics", "--workers", "9999"], "usage"),
        (["train", "--pos", "liked", "--neg", "disliked", "--seed", "-1"], "usage"),
        (["train", "--histograms", "a.json", "--first-bin", "nan"], "usage"),
        (["store", "compact", "--grace", "inf"], "usage"),
        (["undo"], "nothing-to-undo"),
        (["frobnicate"], "usage"),
        (["embed"], "usage"),
        (["embed", "pics", "--no-such-option"], "usage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_misuse(args, slug, trained_once, vta):
    """Each wrong request is refused with exit code 2 and touches nothing."""
    before = listing(trained_once)
    one_line(vta(*args, cwd=trained_once), slug, 2)
    assert listing(trained_once) == before


def listing(root):
    """Return the files below a folder, the store's catalogue left out, with their bytes."""
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in Path(root).rglob("*")
        if p.is_file() and "catalogue" not in p.parts
    }


def test_no_store_is_said(fresh, vta):
    """Commands that read a store do not make one."""
    one_line(vta("score", "pics", cwd=fresh), "no-store", 2)
    one_line(vta("embed", "nosuch", cwd=fresh), "no-such-source", 2)
    assert not (fresh / ".vta").exists()


def test_score_before_embed_and_before_train(fresh, vta):
    """The remedy names the command that is missing."""
    vta("embed", "pics", cwd=fresh)
    ran = vta("score", "pics", cwd=fresh)
    one_line(ran, "no-head", 2)
    assert "vta train" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_output(trained_folder, vta):
    """An output folder that cannot be written is an error, not a traceback."""
    locked = trained_folder / "locked"
    locked.mkdir(mode=0o500)
    ran = vta("filter", "pics", "--top", "3", "--copy-to", "locked/out", cwd=trained_folder)
    assert ran.code == 1
    assert "error[" in ran.err


def test_output_on_a_file(trained_folder, vta):
    """A file that stands where the output folder should be is left alone."""
    (trained_folder / "out").write_text("mine")
    ran = vta("filter", "pics", "--top", "3", "--copy-to", "out", cwd=trained_folder)
    one_line(ran, "output-not-a-folder", 2)
    assert (trained_folder / "out").read_text() == "mine"


def test_head_refuses_a_store_without_its_space(trained_folder, fresh, vta):
    """A head names the backbone that the other store lacks, and how to get it."""
    shutil.copytree(trained_folder / ".vta/heads", fresh / "heads")
    ran = vta("embed", "pics", "--store", "s", cwd=fresh)
    assert ran.code == 0, ran.err
    for path in (fresh / "s/spaces").iterdir():
        shutil.rmtree(path)
    ran = vta("score", "pics", "--store", "s", "-m", "heads/taste.safetensors", cwd=fresh)
    one_line(ran, "missing-space", 1)
    assert "classic" in ran.err


def test_unreadable_head_is_an_error(trained_folder, vta):
    """A damaged head file is named."""
    (trained_folder / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}{}{}{}{}{}{}{}")
    ran = vta("score", "pics", "-m", "bad.safetensors", cwd=trained_folder)
    assert ran.code == 1
    assert "error[" in ran.err
    assert "Traceback" not in ran.err


def test_labels_without_vectors_are_named(trained_folder, vta):
    """With --no-embed and nothing embedded, the files and the remedy are named."""
    assert vta("embed", "pics", "--store", "s", cwd=trained_folder).code == 0
    words = ["--pos", "liked", "--neg", "disliked", "--no-embed", "--store", "s"]
    ran = vta("train", *words, cwd=trained_folder)
    one_line(ran, "nothing-to-learn", 2)
    assert "not-embedded" in ran.err
    assert "--no-embed" in ran.err


def test_settings_file(trained_folder, vta):
    """A settings file sets defaults, a flag beats it, and unknown keys are refused."""
    settings = trained_folder / "vta.toml"
    settings.write_text("[sort]\ntop = '2'\n")
    assert len(vta("sort", "pics", cwd=trained_folder).out.splitlines()) == 3
    assert len(vta("sort", "pics", "--top", "4", cwd=trained_folder).out.splitlines()) == 5
    env = {"VTA_SORT_TOP": "3"}
    assert len(vta("sort", "pics", cwd=trained_folder, env=env).out.splitlines()) == 4
    settings.write_text("[sort]\ntopp = 2\n")
    ran = vta("sort", "pics", cwd=trained_folder)
    one_line(ran, "unknown-setting", 2)
    assert "top" in ran.err
    settings.write_text("[sorted]\ntop = 2\n")
    one_line(vta("sort", "pics", cwd=trained_folder), "unknown-setting", 2)
    settings.write_text("[heads]\nlist = 2\n")
    one_line(vta("heads", "list", cwd=trained_folder), "unknown-setting", 2)


def test_settings_are_called_as_options_are(trained_folder, vta):
    """`--format` is `format` and `VTA_SORT_FORMAT`, whatever the code calls it."""
    settings = trained_folder / "vta.toml"
    settings.write_text("[sort]\nformat = 'jsonl'\n")
    assert vta("sort", "pics", cwd=trained_folder).out.startswith('{"rank": 1')
    env = {"VTA_SORT_FORMAT": "csv"}
    assert vta("sort", "pics", cwd=trained_folder, env=env).out.startswith("rank,")


def test_paths_of_a_settings_file_count_from_it(trained_folder, vta):
    """From a folder below, the store is found by all commands, those of groups too."""
    below = trained_folder / "elsewhere/deeper"
    below.mkdir(parents=True)
    (trained_folder / ".vta").rename(trained_folder / "vectors")
    settings = trained_folder / "elsewhere/vta.toml"
    for text in ("store_path = '../vectors'", "[heads.list]\nstore = '../vectors'"):
        settings.write_text(text)
        ran = vta("heads", "list", cwd=below)
        assert ran.code == 0, ran.err
        assert "taste" in ran.out
    settings.write_text("store_path = '../vectors'\n[embed]\nweights = 'nets,a=~/b'\n")
    env = {"VTA_SORT_TOP": "3", "VTA_SORT_TOPP": "3", "VTA_HEADS_LIST_STORE": "x"}
    shown = vta("config", cwd=below, env=env).out
    assert [line.split()[1] for line in shown.splitlines() if "(no " in line] == ["VTA_SORT_TOPP=3"]
    assert f"store          {(trained_folder / 'vectors').resolve()}" in shown
    home = Path("~/b").expanduser()
    assert f'weights = "{settings.parent.resolve()}/nets,a={home}"' in shown


@pytest.mark.parametrize("name", ["noise.csv", "noise.tsv", "noise.jsonl"])
@pytest.mark.parametrize("command", ["train", "sort"])
def test_a_binary_table_is_not_echoed(trained_once, vta, tmp_path, name, command):
    """Whatever is quoted of it is short and printable, on one line."""
    noise = random.Random(5).randbytes(20_000).replace(b"\n", b"").replace(b"\r", b"")
    file = tmp_path / name
    file.write_bytes(b"score," + noise if command == "sort" else noise)
    option = ["--labels"] if command == "train" else []
    ran = vta(command, *option, file, cwd=trained_once)
    assert ran.code == 2, ran.err
    assert "error[" in ran.err
    assert len(ran.err) < 1000 + 2 * len(str(file)), ran.err
    assert all(line.isprintable() for line in ran.err.split("\n"))


def test_an_unreadable_picture_has_no_neighbours(trained_folder, vta):
    """The reason is told, of a new file and of one that embed has skipped; no circle to embed."""
    pics = trained_folder / "pics"
    whole = (pics / "p00.jpg").read_bytes()
    (pics / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (pics / "notes.txt").write_text("p00.jpg\n")  # as a source it would be a list
    (pics / "edit.jpg").write_bytes(whole + b"\0")
    fine = "not-embedded", "vta embed pics/edit.jpg"
    cut = "unreadable-image", "truncated"
    text = "unreadable-image", "no known image format"
    for verb, name, (slug, why) in (
        ("explain", "edit.jpg", fine), ("explain", "cut.jpg", cut), ("similar", "notes.txt", text),
        ("embed", "cut.jpg", ("no-images", "truncated")),
        ("explain", "cut.jpg", cut), ("similar", "cut.jpg", cut),
    ):  # fmt: skip
        ran = vta(verb, f"pics/{name}", cwd=trained_folder)
        one_line(ran, slug, 2)
        assert why in ran.err
    ran = vta("explain", "pics/cut.jpg", "--store", ".vta", cwd=trained_folder)
    assert "vta embed pics/cut.jpg --store .vta --retry-skipped" in ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_a_full_disk_ends_help_without_a_traceback(word):
    """These are printed before any command runs."""
    command = [sys.executable, "-m", "vta_cli", word]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error[io-error]: No space left on device, most likely in writing")
    assert "Traceback" not in ran.stderr


def test_ctrl_c_while_the_parser_is_imported(monkeypatch):
    """The first tenth of a second of a run ends as every other does."""

    class Interrupted:
        @property
        def main(self):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "vta_cli.cli", Interrupted())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_the_command_of_a_hint_can_be_pasted():
    """Blanks, a leading dash, the options of the walk and another store all survive the shell."""
    source = Source(["my pics", "-x.jpg", "a*/b"], "skip", hidden=True, store=Path("/s t/.vta"))
    words = "vta embed", "my pics", "./-x.jpg", "a*/b", "--symlinks", "skip", "--hidden"
    assert shlex.split(source.embed_line()) == [
        *words[0].split(), *words[1:], "--store", "/s t/.vta",
    ]  # fmt: skip
    assert Source(["a"], backbones=["onnx:n t.onnx"]).embed_line().endswith("'onnx:n t.onnx'")
    assert Source([]).embed_line() == "vta embed SOURCE"


@pytest.mark.parametrize(
    "words",
    [
        ["filter", "new", "--threshold", "0.5"], ["sort", "new"], ["score", "new"],
        ["explain", "new/x.jpg"], ["similar", "new/x.jpg"], ["dedupe", "new"],
    ],
)  # fmt: skip
def test_a_hint_to_embed_names_the_store_that_was_named(trained_folder, vta, words):
    new = trained_folder / "new"
    new.mkdir()
    (new / "x.jpg").write_bytes((trained_folder / "pics/p00.jpg").read_bytes() + b"\0")
    (trained_folder / "other").mkdir()
    (trained_folder / ".vta").rename(trained_folder / "other/.vta")
    ran = vta(*words, "--store", "other/.vta", cwd=trained_folder)
    assert ran.code == 2
    assert "error[not-embedded]" in ran.err
    line = next(one for one in ran.err.splitlines() if "vta embed" in one)
    again = shlex.split(line[line.index("vta embed") :])
    assert vta(*again[1:], cwd=trained_folder).code == 0
    assert vta(*words, "--store", "other/.vta", cwd=trained_folder).code == 0
