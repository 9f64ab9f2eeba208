"""The server of the page: who is let in, what is served, what a request can and cannot do."""

import json
import shutil

import pytest
from label_page import Page


@pytest.fixture(scope="module")
def root(stocked, tmp_path_factory):
    return shutil.copytree(stocked, tmp_path_factory.mktemp("served") / "work")


@pytest.fixture(scope="module")
def page(root):
    (root / "secret.txt").write_text("secret")
    # ways out of the source: folders behind links are not walked, and what a link names must be an
    # image with the content that was labelled
    (root / "pics" / "up").symlink_to(root / "liked", target_is_directory=True)
    (root / "pics" / "leak.jpg").symlink_to(root / "secret.txt")
    running = Page(root)
    running.loaded()
    yield running
    running.stop()


def test_the_token_opens_once_and_a_cookie_carries_on(page):
    status, headers, _ = page.ask("GET", f"/?token={page.token}", cookie=False)
    assert status == 303
    assert headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=strict" in headers["Set-Cookie"]
    status, headers, content = page.ask("GET", "/")
    assert status == 200
    assert b"<main" in content
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/", "/api/state", "/static/app.js", "/image/" + "0" * 64 + "/thumb"]
)
@pytest.mark.parametrize("cookie", [False, "vta_1=x", "wrong"])
def test_without_the_token_nothing_is_answered(page, path, cookie):
    given = f"vta_{page.port}=wrong" if cookie == "wrong" else cookie
    assert page.ask("GET", path, cookie=given)[0] == 403
    assert page.ask("GET", "/?token=wrong", cookie=False)[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1"]
)
def test_a_foreign_host_is_refused(page, host):
    assert page.ask("GET", "/", host=host.format(port=page.port))[0] == 400
    assert page.ask("GET", "/", host=f"localhost:{page.port}")[0] == 200


def test_a_foreign_origin_is_refused(page):
    body = {"next": 1}
    assert page.ask("POST", "/api/next", body)[0] == 200
    assert page.ask("POST", "/api/next", body, Origin="http://evil.example")[0] == 403
    assert page.ask("POST", "/api/next", body, Origin="null")[0] == 403
    assert page.ask("POST", "/api/next", body, Sec_Fetch_Site="cross-site")[0] == 403
    assert page.ask("GET", "/api/state", Sec_Fetch_Site="cross-site")[0] == 403


def test_a_post_says_where_it_is_from_and_reading_changes_nothing(page):
    for silence in ("", None):  # an empty header, and none at all
        status, _, content = page.ask("POST", "/api/next", {}, Origin=silence)
        assert (status, json.loads(content)["error"]) == (403, "foreign-origin")
    for site, expected in (("same-origin", 200), ("none", 200), ("same-site", 403)):
        found = page.ask("POST", "/api/next", {}, Origin=None, Sec_Fetch_Site=site)
        assert found[0] == expected, site
    assert page.ask("GET", "/api/state", Origin=None)[0] == 200
    for route in ("undo", "judge", "retrain", "pair", "tournament/begin", "drop"):
        if route != "pair":  # which can be read, too
            assert page.ask("GET", f"/api/{route}")[0] == 405
    assert page.ask("PUT", "/api/judge", {})[0] == 405


def test_every_answer_carries_the_policy(page):
    for method, path, cookie in (
        ("GET", "/", None), ("GET", "/", False), ("GET", "/nothing", None),
        ("GET", "/static/app.js", None), ("GET", "/api/state", None), ("PUT", "/api/undo", None),
        ("GET", "/image/" + "0" * 64 + "/thumb", None), ("GET", "/api/tiers.csv", None),
    ):  # fmt: skip
        _, headers, content = page.ask(method, path, cookie=cookie)
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert b"Traceback" not in content
    assert "img-src 'self' blob:" in headers["Content-Security-Policy"]


def test_a_form_of_another_page_cannot_post(page):
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
        assert page.ask("POST", "/api/undo", "{}", Content_Type=kind)[0] == 415


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2f..%2fapp.py", "/../secret.txt", "/%2e%2e/secret.txt",
        "/static/index.html/../../secret.txt", "/secret.txt", "/image/../secret.txt/thumb",
        "/image/..%2f..%2fsecret.txt/thumb", "/image/" + "0" * 64 + "/thumb",
        "/image/%2fetc%2fpasswd/full", "//etc/passwd", "/static/",
    ],
)  # fmt: skip
def test_no_path_leads_out(page, path):
    status, _, content = page.ask("GET", path)
    assert status in (400, 404)
    assert b"secret" not in content.replace(b"secret.txt", b"")


def test_an_image_of_the_store_that_is_not_of_the_source_is_not_served(page, root):
    """Keys are looked up among the images of this page, not in the store."""
    from vta_cli.images.keys import key_of

    outside = key_of((root / "liked" / "l00.jpg").read_bytes()).hex()
    assert page.get("/api/state")["images"] == 24
    inside = key_of((root / "pics" / "p00.jpg").read_bytes()).hex()
    assert page.ask("GET", f"/image/{outside}/thumb")[0] == 404
    status, headers, content = page.ask("GET", f"/image/{inside}/thumb")
    assert status == 200
    assert headers["Content-Type"] == "image/jpeg"
    assert "immutable" in headers["Cache-Control"]
    assert content[:2] == b"\xff\xd8"
    assert page.ask("GET", f"/image/{inside}/huge")[0] == 404


def test_a_file_that_was_changed_is_not_shown_under_its_old_key(page, root):
    from vta_cli.images.keys import key_of

    file = root / "pics" / "p23.jpg"
    data = file.read_bytes()
    url = f"/image/{key_of(data).hex()}/screen"
    try:
        file.write_bytes(data + b"x")
        assert page.ask("GET", url)[0] == 410
        file.unlink()
        file.symlink_to(root / "liked" / "l01.jpg")  # swapped for a way out
        assert page.ask("GET", url)[0] == 410
        file.unlink()
        assert page.ask("GET", url)[0] == 410
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(data)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("judge", {"mode": "single", "verdicts": [{"key": "x", "label": 1}]}),
        ("judge", {"mode": "single", "verdicts": [{"key": "0" * 64, "label": 2}]}),
        ("judge", {"mode": "single", "verdicts": [{"key": "0" * 64, "label": True}]}),
        ("judge", {"verdicts": []}),
        ("judge", []),
        ("judge", "{"),
        ("judge", {"mode": "single", "verdicts": "all"}),
        ("next", {"next": -1}),
        ("next", {"next": "many"}),
        ("settings", {"low": "0"}),
        ("tournament/begin", {"images": 8, "per_heat": 4, "targets": ["x"]}),
    ],
)
def test_senseless_requests_are_refused(page, route, body):
    status, _, content = page.ask("POST", f"/api/{route}", body)
    assert status == 400, content
    assert json.loads(content)["error"] == "bad-request"


def test_requests_that_cannot_be_fulfilled_say_why(page):
    for route, body, slug in (
        ("judge", {"mode": "single", "verdicts": [{"key": "0" * 64, "label": 1}]}, "unknown-image"),
        ("settings", {"strategy": "magic"}, "unknown-strategy"),
        ("settings", {"low": 0.9, "high": 0.1}, "bad-limit"),
        ("tournament/begin", {"images": 8, "per_heat": 99, "targets": [0.5]}, "bad-tournament"),
        ("tournament/labels", {}, "no-tournament"),
    ):
        status, _, content = page.ask("POST", f"/api/{route}", body)
        assert (status, json.loads(content)["error"]) == (409, slug)
    status, _, content = page.ask("POST", "/api/drop", b"no image", Content_Type="image/png")
    assert status == 422
    assert json.loads(content)["error"] == "not-an-image"


def test_a_label_is_on_the_disk_when_the_answer_comes(page, root):
    item = page.first()
    verdict = {"key": item["key"], "label": 1}
    status, _, content = page.ask("POST", "/api/judge", {"mode": "single", "verdicts": [verdict]})
    assert status == 200
    assert json.loads(content)["state"]["positive"] == 1
    assert item["key"] in (root / ".vta" / "labels" / "label.jsonl").read_text()
    assert page.ask("POST", "/api/undo", {})[0] == 200


def test_each_page_takes_back_what_it_did_itself(page):
    def post(name, **body):
        status, _, content = page.ask("POST", f"/api/{name}", body)
        return status, json.loads(content)

    items = post("next", next=2)[1]["next"]
    for who, item in zip(("one", "two"), items, strict=True):
        verdict = {"key": item["key"], "label": 1}
        assert post("judge", page=who, mode="single", verdicts=[verdict])[1]["state"]["can_undo"]
    assert not page.get("/api/state?page=three")["can_undo"]
    assert post("undo", page="three")[0] == 409
    taken = post("undo", page="one")[1]
    assert [item["key"] for item in taken["items"]] == [items[0]["key"]]
    assert (taken["state"]["positive"], taken["state"]["can_undo"]) == (1, False)
    assert post("undo", page="two")[1]["items"][0]["key"] == items[1]["key"]
    assert post("undo", page="x" * 41)[0] == 400


def test_killed_and_started_again_it_has_every_label(page, root):
    verdict = {"key": page.first()["key"], "label": 0}
    assert page.ask("POST", "/api/judge", {"mode": "grid", "verdicts": [verdict]})[0] == 200
    page.kill()
    before = page.token
    page.begin("--export-folders", "out")
    assert page.token != before
    assert page.ask("GET", "/", cookie=f"vta_{page.port}={before}")[0] == 403
    assert page.get("/api/state")["negative"] == 1
    code, err = page.stop()
    assert code == 0, err
    assert "0 liked, 1 disliked" in err
    assert len(list((root / "out" / "disliked").iterdir())) == 1


def test_misuse_is_told_before_a_page_is_opened(told, stocked, tmp_path, monkeypatch):
    monkeypatch.chdir(stocked)
    (tmp_path / "secret.txt").write_text("secret")
    for args, slug in (
        (["pics", "--move"], "no-target"),
        (["pics", "--journal", tmp_path / "secret.txt"], "not-a-journal"),
    ):
        ran = told("label", *args, "--no-open")
        assert ran.exit_code == 2, ran.output
        assert f"error[{slug}" in ran.stderr
