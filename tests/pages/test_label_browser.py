"""The page in a real browser: what a user does, from the first label to a restart."""

import json
import re
import shutil

import pytest
from browser import find_browser
from label_page import Page

pytest.importorskip("playwright.sync_api", reason="the dev group has Playwright")
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=20_000)
MODES = ("single", "grid", "tournament", "pairs", "review")


@pytest.fixture(scope="module")
def browser():
    path = find_browser()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def served(stocked, tmp_path_factory):
    """Return a running page over pictures with vectors, with liked/ and disliked/ as labels."""
    root = shutil.copytree(stocked, tmp_path_factory.mktemp("browsed") / "work")
    running = Page(root, "--pos", "liked", "--neg", "disliked", "--seed", "1")
    yield running
    running.stop()


# Leaves the server as a test found it, whether it passed or not.
TIDY = """async () => {
  const post = (name, body) => fetch(`/api/${name}`, { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const page = sessionStorage.getItem("vta-page");
  while ((await post("undo", { page })).ok);
  await post("settings", { strategy: "band", follow: true, every: 0 });
}"""


@pytest.fixture
def tab(browser, served):
    yield from _tab(browser, served)


@pytest.fixture
def touch_tab(browser, served):
    yield from _tab(browser, served, has_touch=True)


def _tab(browser, served, **options):
    context = browser.new_context(viewport={"width": 1300, "height": 850}, **options)
    page = context.new_page()
    faults, asked = [], []
    page.on(
        "console", lambda message: faults.append(message.text) if message.type == "error" else 0
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served.url)
    expect(page.locator("#probability")).to_contain_text("probability", timeout=30_000)
    yield page
    found = [fault for fault in faults if "409" not in fault and "422" not in fault]
    here = f"http://127.0.0.1:{served.port}/"
    strange = [url for url in asked if not url.startswith((here, "blob:", "data:"))]
    page.evaluate(TIDY)
    context.close()
    assert not strange
    assert not found


def lines(served):
    text = (served.root / ".vta" / "labels" / "label.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()[1:]]


def shown(tab):
    """Return the key of the image on view."""
    return tab.locator("#stage img").get_attribute("data-key")


def number(tab, name):
    """Read a counter of the panel."""
    row = tab.locator("dl.counts div", has=tab.locator("dt", has_text=re.compile(f"^{name}$")))
    return int(row.locator("dd").inner_text().replace(",", ""))


def to(tab, mode):
    tab.locator(f"#modes [data-mode={mode}]").click()
    expect(tab.locator(f"#modes [data-mode={mode}]")).to_have_attribute("aria-current", "page")


def test_label_by_key_and_by_mouse_then_undo(tab, served):
    before = number(tab, "liked"), number(tab, "disliked")
    first = shown(tab)
    tab.keyboard.press("3")
    expect(tab.locator("#stage img")).not_to_have_attribute("data-key", first)
    second = shown(tab)
    tab.locator("#dislike").click()
    expect(tab.locator("#stage img")).not_to_have_attribute("data-key", second)
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before[0] + 1))
    expect(tab.locator("dl.counts dd.dislike")).to_have_text(str(before[1] + 1))
    told = [(line["key"], line["label"]) for line in lines(served) if line.get("mode") == "single"]
    assert told[-2:] == [(first, 1), (second, 0)]
    tab.keyboard.press("u")
    expect(tab.locator("#stage img")).to_have_attribute("data-key", second)
    expect(tab.locator("dl.counts dd.dislike")).to_have_text(str(before[1]))
    tab.locator("#undo").click()
    expect(tab.locator("#stage img")).to_have_attribute("data-key", first)
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before[0]))


def test_go_back_and_judge_again(tab):
    first = shown(tab)
    tab.keyboard.press("1")
    expect(tab.locator("#stage img")).not_to_have_attribute("data-key", first)
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator("#stage .verdict")).to_have_text("disliked")
    before = number(tab, "liked")
    tab.keyboard.press("3")
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before + 1))
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator("#stage .verdict")).to_have_text("liked")
    tab.keyboard.press("u")
    tab.keyboard.press("u")
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before))


def test_the_image_keeps_its_shape_and_zooms(tab):
    assert tab.locator("#stage img").evaluate("i => getComputedStyle(i).objectFit") == "contain"
    fits = tab.locator("#stage img").evaluate("i => Math.min(i.clientWidth, i.clientHeight)")
    tab.keyboard.press("z")
    expect(tab.locator("#stage")).to_have_class(re.compile("zoomed"))
    expect(tab.locator("#stage img")).to_have_attribute("src", re.compile("/full$"))
    # a picture smaller than the page grows, and keeps its shape
    tab.wait_for_function("n => document.querySelector('#stage img').clientWidth > n", arg=fits)
    side = tab.locator("#stage img").evaluate("i => [i.clientWidth, i.clientHeight]")
    assert side[0] == pytest.approx(side[1], abs=2)
    tab.keyboard.press("z")
    expect(tab.locator("#stage")).not_to_have_class(re.compile("zoomed"))


def test_retrain_and_move_a_limit(tab):
    tab.keyboard.press("3")
    expect(tab.locator("#undo")).to_be_enabled()
    before = tab.evaluate("fetch('/api/state').then(r => r.json()).then(s => s.history.length)")
    tab.locator("body").press("t")
    tab.wait_for_function(
        "n => fetch('/api/state').then(r => r.json()).then(s => s.history.length > n)", arg=before
    )
    slider = tab.locator("#low")
    slider.focus()
    slider.press("Home")
    tab.wait_for_function("fetch('/api/state').then(r => r.json()).then(s => s.settings.low === 0)")
    expect(tab.locator("#follow")).not_to_be_checked()
    plot = tab.locator(".plot").nth(1)
    box = plot.bounding_box()
    tab.mouse.move(box["x"] + 5, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20, steps=4)
    tab.mouse.up()
    tab.wait_for_function(
        "fetch('/api/state').then(r => r.json()).then(s => Math.abs(s.settings.low - .25) < .03)"
    )
    tab.locator("#follow").check()


def test_the_next_image_follows_the_limits_and_keys_go_on_after_a_drag(tab):
    tab.locator("#follow").uncheck()
    for name, share in (("high", 0.99), ("low", 0.7)):
        handle = tab.locator(f"#{name}")
        box, value = handle.bounding_box(), float(handle.input_value())
        x = [box["x"] + 9 + at * (box["width"] - 18) for at in (value, share)]
        y = box["y"] + box["height"] / 2
        tab.mouse.move(x[0], y)
        tab.mouse.down()
        with tab.expect_response("**/api/next"):
            tab.mouse.move(x[1], y, steps=5)
            tab.mouse.up()
    inside = tab.evaluate(
        "fetch('/api/grid?order=liked&n=48').then(r => r.json())"
        ".then(g => g.items.filter(i => i.score >= 0.7 && i.score <= 0.99).length)"
    )
    assert inside >= 4
    expect(tab.locator("#low")).to_be_focused()
    seen = []
    for _ in range(12):
        before = shown(tab)
        tab.keyboard.press("2")  # the handle has the focus, and takes the arrows alone
        expect(tab.locator("#stage img")).not_to_have_attribute("data-key", before)
        seen.append(float(tab.locator("#probability").inner_text().split()[-1]))
    # a third comes from anywhere: fewer than three of twelve inside are one chance in 1,800
    assert sum(score >= 0.69 for score in seen) >= 3, seen


def test_the_grid_takes_a_page_in_one_key(tab):
    to(tab, "grid")
    tiles = tab.locator("#tiles .tile")
    expect(tiles.first).to_be_visible()
    n, before = tiles.count(), number(tab, "left")
    assert n == before
    words = tiles.locator(".tag b").all_inner_texts()
    scores = [int(text.split()[0]) for text in tiles.locator(".tag span").all_inner_texts()]
    assert words == ["like" if score >= 50 else "dislike" for score in scores]  # as expected
    liked = words.count("like")
    assert 3 <= liked < n
    tiles.nth(0).click()
    tiles.nth(1).click()
    tiles.nth(1).click()
    told = f"{liked - 2} liked, {n - liked + 1} disliked, 1 left out"
    expect(tab.locator("#tally")).to_contain_text(told)
    tiles.nth(2).focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Space")
    told = f"{liked - 3} liked, {n - liked + 2} disliked, 1 left out"
    expect(tab.locator("#tally")).to_contain_text(told)
    tab.keyboard.press("Enter")
    expect(tiles).to_have_count(1)
    tab.keyboard.press("u")
    expect(tiles).to_have_count(n)


def test_the_review_changes_and_withdraws(tab):
    to(tab, "review")
    entries = tab.locator("#entries > li")
    expect(entries).to_have_count(24)
    key = entries.first.get_attribute("data-key")
    entry = tab.locator(f'#entries > li[data-key="{key}"]')
    was = entry.locator(".tag b").inner_text()
    entry.locator("[data-act=flip]").click()
    expect(entry.locator(".tag b")).not_to_have_text(was)
    entry.locator("[data-act=withdraw]").click()
    expect(entry).to_have_count(0)
    tab.keyboard.press("u")
    tab.keyboard.press("u")
    expect(entry.locator(".tag b")).to_have_text(was)


def test_a_tournament_is_finished_by_key_and_survives_a_reload(tab):
    to(tab, "tournament")
    tab.locator("#entrants").fill("8")
    tab.locator("#rates").fill("50, 25")
    tab.locator("#begin").click()
    tiles = tab.locator(".heat .tile")
    expect(tiles).to_have_count(4)
    tab.keyboard.press("1")
    tiles.nth(1).click()
    expect(tab.locator("#advance")).to_contain_text("2 of 4")
    tab.keyboard.press("Enter")
    expect(tab.locator(".bar")).to_contain_text("4 images left")
    tab.reload()
    expect(tab.locator(".bar")).to_contain_text("4 images left")
    while not tab.locator("#finished").count():
        heat = tiles.first.get_attribute("data-key")
        tab.keyboard.press("1")
        tab.keyboard.press("Enter")
        tab.wait_for_function(
            "k => document.querySelector('.heat .tile, #finished')?.dataset.key !== k", arg=heat
        )
    expect(tab.locator("dl.tiers")).to_be_visible()
    with tab.expect_download() as download:
        tab.get_by_text("Download tiers.csv").click()
    table = download.value.path().read_text().splitlines()
    assert table[0] == "path,score"
    assert len(table) == 9


def test_pairs_by_key(tab):
    to(tab, "pairs")
    expect(tab.locator(".duel .tile")).to_have_count(2)
    keys = [tile.get_attribute("data-key") for tile in tab.locator(".duel .tile").all()]
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#compared")).to_have_text("1 compared")
    table = tab.evaluate("fetch('/api/pairs.csv').then(r => r.text())").splitlines()
    assert len(table) == 2
    assert keys[0] != keys[1]


def test_any_picture_can_be_tried(tab, served):
    tab.set_input_files("#file", served.root / "liked" / "l03.jpg")
    expect(tab.locator("#dropped")).to_be_visible(timeout=30_000)
    expect(tab.locator("#dropped-title")).to_contain_text("Score")
    expect(tab.locator("#dropped .near").first.locator("li")).to_have_count(6)
    tab.keyboard.press("Escape")
    expect(tab.locator("#dropped")).not_to_be_visible()


def test_keys_do_not_label_while_help_is_open_or_a_box_has_the_focus(tab):
    before = number(tab, "liked")
    tab.keyboard.press("?")
    expect(tab.locator("#help")).to_be_visible()
    tab.keyboard.press("3")
    tab.keyboard.press("Escape")
    tab.locator("#strategy").focus()
    tab.keyboard.press("3")
    tab.locator("#strategy").select_option("random")
    tab.wait_for_function(
        "fetch('/api/state').then(r => r.json()).then(s => s.settings.strategy === 'random')"
    )
    assert number(tab, "liked") == before


def test_pictures_and_buttons_are_whole_on_every_screen(tab):
    """On a phone, a laptop and a 4K screen."""
    to(tab, "tournament")
    tab.locator("#entrants").fill("8")
    tab.locator("#begin").click()
    for width, height in ((390, 844), (1300, 850), (3840, 2160)):
        tab.set_viewport_size({"width": width, "height": height})
        for mode in MODES:
            to(tab, mode)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, mode
        to(tab, "single")
        for name in ("#dislike", "#skip", "#like"):
            box = tab.locator(name).bounding_box()
            assert box["y"] + box["height"] <= height
            assert box["height"] >= 44
        to(tab, "tournament")
        expect(tab.locator(".heat .tile")).to_have_count(4)
        for tile in tab.locator(".heat .tile").all():
            image, tag = tile.locator("img").bounding_box(), tile.locator(".tag").bounding_box()
            assert image["y"] + image["height"] <= tag["y"] + 1
        button = tab.locator("#advance").bounding_box()
        assert button["y"] + button["height"] <= height


def test_no_serious_fault_of_accessibility(tab, served):
    """In the light on a large screen; what the dark and a phone can change is looked at there."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def look(where, **options):
        found = axe.run(tab, options=options | {"resultTypes": ["violations"], "preload": False})
        grave = [
            (fault["id"], fault["nodes"][0]["html"][:200])
            for fault in found.response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert not grave, (where, grave)

    settled = {"grid": "#tiles .tile", "pairs": ".duel .tile", "review": "#entries > li"}
    for mode in (*MODES, "help", "try"):
        if mode == "help":
            tab.keyboard.press("?")
        elif mode == "try":
            tab.keyboard.press("Escape")
            tab.set_input_files("#file", served.root / "liked" / "l03.jpg")
            expect(tab.locator("#dropped")).to_be_visible(timeout=30_000)
        else:
            to(tab, mode)
            expect(tab.locator(settled.get(mode, "#main > *")).first).to_be_visible()
        look(mode)
        tab.emulate_media(color_scheme="dark")
        tab.set_viewport_size({"width": 390, "height": 844})
        look(f"{mode}, dark, phone", runOnly=["color-contrast", "scrollable-region-focusable"])
        tab.emulate_media(color_scheme="light")
        tab.set_viewport_size({"width": 1300, "height": 850})


def test_a_swipe_judges_on_a_touch_screen(touch_tab):
    tab = touch_tab
    before, first = number(tab, "liked"), shown(tab)
    tab.locator("#stage").evaluate(
        """(stage) => {
          const at = (type, x) => stage.dispatchEvent(new PointerEvent(type, {
            pointerType: "touch", clientX: x, clientY: 300, bubbles: true }));
          at("pointerdown", 200); at("pointerup", 420);
        }"""
    )
    expect(tab.locator("#stage img")).not_to_have_attribute("data-key", first)
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before + 1))


def test_killed_and_restarted_the_labels_are_there(browser, served):
    """The last of all: what it says of the picture stays."""
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(served.url)
    expect(tab.locator("#like")).to_be_enabled(timeout=30_000)
    key, before = shown(tab), number(tab, "liked")
    tab.keyboard.press("3")
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before + 1))
    served.kill()
    expect(tab.locator("#toast")).to_contain_text("does not answer", timeout=15_000)
    tab.keyboard.press("3")
    expect(tab.locator("#toast")).to_contain_text("Not saved")
    judged = [line for line in lines(served) if line["event"] == "judge"]
    assert (judged[-1]["key"], judged[-1]["label"]) == (key, 1)
    served.begin()
    tab.goto(served.url)
    expect(tab.locator("dl.counts dd.like")).to_have_text(str(before + 1), timeout=15_000)
    context.close()
