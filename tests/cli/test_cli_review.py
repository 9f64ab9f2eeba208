"""What a demanding user met: closed streams, odd outputs, links, lists that look like scores."""

import os
import subprocess
import sys
import time

import pytest


def said(ran, slug, code=2):
    """Check that a command ended with this one error."""
    assert ran.code == code, ran.err
    assert [line for line in ran.err.splitlines() if line.startswith(f"error[{slug}]: ")], ran.err
    assert "Traceback" not in ran.err


def with_closed(stream, args, cwd):
    """Run vta as the shell does after ``>&-`` or ``2>&-``."""
    number = {"stdout": 1, "stderr": 2}[stream]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: None}
    words = 'exec "$0" -m vta_cli "$@" ' + f"{number}>&-"
    return subprocess.run(
        ["sh", "-c", words, sys.executable, *args], cwd=cwd, check=False, timeout=120, **pipes
    )


def test_closed_stdout_is_an_error_and_no_bug(trained_folder):
    """Rows that nobody can get are not lost silently, nor called a fault of vta."""
    ran = with_closed("stdout", ["score", "pics"], trained_folder)
    assert ran.returncode == 1
    assert b"error[io-error]" in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert with_closed("stdout", ["embed", "pics"], trained_folder).returncode == 0


def test_closed_stderr_does_not_matter(trained_folder):
    """The rows come all the same."""
    ran = with_closed("stderr", ["score", "pics"], trained_folder)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 25


@pytest.mark.parametrize("command", ["filter", "sort", "dedupe"])
def test_output_inside_the_store_is_refused(command, trained_folder, vta):
    """The store's folder is vta's own, and no source walks it."""
    to = ["--to", ".vta/x"] if command == "sort" else ["--move-to", ".vta/x"]
    rule = ["--top", "3"] if command == "filter" else []
    said(vta(command, "pics", *rule, *to, cwd=trained_folder), "output-inside-store")
    assert not (trained_folder / ".vta/x").exists()


@pytest.mark.parametrize(
    ("option", "slug"),
    [("--device=gpu", "no-such-device"), ("--precision=fp8", "unknown-precision")],
)
def test_engine_options_are_checked_though_classic_ignores_them(option, slug, fresh, vta):
    """A name that no backbone knows is a typing error."""
    said(vta("embed", "pics", option, cwd=fresh), slug)


def test_parser_errors_point_to_the_command(trained_folder, vta):
    """The hint names the command whose help explains the option."""
    ran = vta("filter", "pics", "--band", "0.9", cwd=trained_folder)
    said(ran, "usage")
    assert "vta filter --help" in ran.err


def test_a_run_that_did_nothing_is_nothing_to_undo(trained_folder, vta):
    """The second, empty run does not hide the first from `vta undo`."""
    words = ["filter", "pics", "--top", "3", "--copy-to", "out"]
    assert vta(*words, cwd=trained_folder).code == 0
    again = vta(*words, cwd=trained_folder)
    assert again.code == 0
    assert "nothing to do: 3 files are in " in again.err
    assert "undo" not in again.err
    assert vta("undo", cwd=trained_folder).code == 0
    assert not (trained_folder / "out").exists()


def test_dedupe_takes_a_link_for_no_copy(trained_folder, vta):
    """The file behind a kept link is never taken aside."""
    folder = trained_folder / "links"
    folder.mkdir()
    (trained_folder / "pics/p00.jpg").rename(folder / "real.jpg")
    (folder / "a-link.jpg").symlink_to("real.jpg")
    (folder / "b-link.jpg").symlink_to("a-link.jpg")
    assert vta("embed", "links", cwd=trained_folder).code == 0
    ran = vta("dedupe", "links", "--move-to", "aside", cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert "2 same-file" in ran.err
    assert (folder / "a-link.jpg").stat().st_size
    # two links to a file elsewhere are one file as well
    (folder / "real.jpg").rename(trained_folder / "real.jpg")
    for name in ("a-link.jpg", "b-link.jpg"):
        (folder / name).unlink()
        (folder / name).symlink_to("../real.jpg")
    assert vta("embed", "links", cwd=trained_folder).code == 0
    assert "0 exact" in vta("dedupe", "links", cwd=trained_folder).err


def test_dedupe_still_finds_real_copies(trained_folder, vta):
    """Equal bytes under two real paths are copies, also where a third path is a link."""
    data = (trained_folder / "pics/p01.jpg").read_bytes()
    (trained_folder / "pics/p01-copy.jpg").write_bytes(data)
    (trained_folder / "pics/p01-link.jpg").symlink_to("p01.jpg")
    assert vta("embed", "pics", cwd=trained_folder).code == 0
    ran = vta("dedupe", "pics", "-t", "0.9999", cwd=trained_folder)
    assert "1 exact" in ran.err
    assert "1 same-file" in ran.err


def test_list_of_paths_with_score_in_a_name_is_a_list(trained_folder, vta):
    """Only a column named score makes a table a scores file."""
    (trained_folder / "pics").rename(trained_folder / "scores")
    (trained_folder / "list.csv").write_text("scores/p00.jpg\nscores/p01.jpg\n")
    assert vta("embed", "list.csv", cwd=trained_folder).code == 0
    ran = vta("sort", "list.csv", cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 3


def test_sort_without_rows_still_has_its_header(trained_folder, vta):
    """A reader of the table finds the columns."""
    (trained_folder / "s.csv").write_text("path,score,reason\n")
    ran = vta("sort", "s.csv", cwd=trained_folder)
    assert ran.code == 0
    assert ran.out.splitlines() == ["rank,path,score"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_be_read_now_is_embedded(fresh, vta):
    """A reason that lies with the system is not remembered against the file."""
    path = fresh / "pics/p00.jpg"
    path.chmod(0)
    assert "no-permission" in vta("embed", "pics", cwd=fresh).err
    path.chmod(0o644)
    assert "no-permission" not in vta("embed", "pics", cwd=fresh).err


def test_stop_keeps_what_is_done(fresh, vta):
    """Ctrl-C ends with 130 and a store that is whole, and the same command goes on."""
    command = [sys.executable, "-m", "vta_cli", "embed", "pics", "liked", "disliked"]
    with subprocess.Popen(command, cwd=fresh, stderr=subprocess.PIPE) as run:
        while not (fresh / ".vta/spaces").exists() and run.poll() is None:
            time.sleep(0.01)  # until its work has begun
        run.send_signal(2)
        _, err = run.communicate(timeout=120)
    assert run.returncode in (0, 130), err
    assert b"Traceback" not in err
    assert vta("store", "check", cwd=fresh).code == 0
    assert "48 images" in vta("embed", "pics", "liked", "disliked", cwd=fresh).err
