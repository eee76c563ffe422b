"""The page of a user in a real Chromium, from a file, without a network."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from timeline_pages import EVIL, START, TYPES, Look, expired, few, hostile, launch, many, write_page

import eventlog
from eventlog.times import DAY, micros


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of all users by what is special of them."""
    folder = tmp_path_factory.mktemp("timeline")
    with eventlog.open(folder / "log", TYPES, clock=lambda: micros(START) + 30 * DAY) as log:
        few(log)
        expired(log)
        many(log)
        users = {"few": "u1", "expired": "u2", "many": "u3", "none": "nobody", "hostile": hostile(log)}
        return {name: write_page(log, user, folder) for name, user in users.items()}


@pytest.fixture
def look(browser: Browser, pages: dict[str, Path]):
    opened: list[Look] = []

    def opening(name: str, **how: object) -> Look:
        opened.append(Look(browser, pages[name], **how))  # type: ignore[arg-type]
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


def test_lanes_marks_and_lines_tell_what_belongs_together(look) -> None:
    """A lane for each type, children below their root's; a line from each child; the root that has not come is said."""
    seen = look("few")
    assert seen.page.locator("#plot .labels text").all_text_contents() == ["Impression", "Click", "PageView"]
    assert seen.count("#plot .links path.link") == 3
    assert seen.count("#plot .links path.link.gone") == 1
    assert seen.count("#plot .mark.missing") == 1
    assert seen.count("#plot .noted") == 1
    assert "7 events · 3 types · 3 days · 1 root not come" in seen.page.locator("#counts").inner_text()
    assert "Impression has not come" in seen.page.locator("#list li.gone").inner_text()
    assert seen.page.locator("#list li.root, #list li.child").count() == 8
    assert "model v7" in seen.page.locator("#list li.root").first.inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_use_it(look, dark: bool) -> None:
    """Axe has no complaint in both schemes, with details open and the tip shown; a phone shows nothing too wide."""
    seen = look("few", dark=dark, size=(390, 844) if dark else (1200, 800))
    seen.press("End", "ArrowLeft", "Enter")
    seen.page.locator("#list dl").wait_for()
    seen.check_accessible()
    seen.check_width()


def test_keys_go_from_event_to_event_and_to_its_fields(look) -> None:
    """From the last event to its root and to its fields, each step told to who does not see it."""
    seen = look("few")
    seen.press("End")
    seen.wait_text("#told", "Click, 18 Feb 2011, 17:00:00")
    seen.wait_text("#tip", "1 d 1 h after its Impression")
    assert seen.count("#list li.selected") == 1
    seen.press("ArrowUp")
    seen.wait_text("#told", "Impression, 17 Feb 2011, 16:00:00")
    seen.press("Home", "Enter")
    seen.wait_text("#list dl", "a17")
    assert seen.page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
    told = seen.page.locator("#list dl").first.inner_text()
    assert all(text in told for text in ("2.5", "[300,250]", "ff00", "v7", "0.31", "with 1 event that belongs to it"))
    seen.press("End", "ArrowLeft", "ArrowUp")
    seen.wait_text("#told", "Impression has not come")
    seen.press("Escape")
    seen.page.wait_for_function("() => !document.querySelector('#list li.selected')")


def test_zoom_by_buttons_keys_wheel_and_day_takes_the_list_along(look) -> None:
    """Whatever changes the view: the list shows what is in it, and says of how many."""
    seen = look("few")
    seen.wait_whole("#shown", "7 events")
    seen.page.locator("#day").select_option(label="16 Feb 2011 (3 events)")
    seen.wait_whole("#shown", "3 of 7 events")
    seen.wait_whole("#span", "Wednesday 16 February 2011")
    seen.page.locator("#day-after").click()
    seen.wait_text("#span", "Thursday 17 February 2011")
    seen.press("PageUp")
    seen.wait_text("#span", "Wednesday 16 February 2011")
    seen.page.locator("#day").select_option(label="18 Feb 2011 (2 events)")
    seen.wait_whole("#shown", "2 of 7 events")
    seen.page.locator("#list summary").first.press("Enter")  # the root of a day before, shown above its late child
    seen.wait_text("#list li.selected dl", "a18")
    assert "a18" in seen.page.evaluate("() => document.activeElement.innerText")
    seen.press("0")
    seen.wait_whole("#shown", "7 events")
    seen.wait_zoomed(False)
    for zoomed in (
        lambda: seen.press("+"),
        lambda: seen.page.locator("#in").click(),
        lambda: seen.page.locator("#plot").dblclick(position={"x": 900, "y": 60}),
    ):
        zoomed()
        seen.wait_zoomed(True)
        seen.page.locator("#all").click()
        seen.wait_zoomed(False)
    seen.page.locator("#plot").hover(position={"x": 700, "y": 60})
    seen.page.keyboard.down("Control")
    seen.page.mouse.wheel(0, -300)
    seen.page.keyboard.up("Control")
    seen.wait_zoomed(True)
    seen.press("Home", *["+"] * 40)
    seen.page.wait_for_function(
        r"() => /09:59:59\.9999?\d* – 10:00:00\.000\d+$/.test(document.getElementById('span').textContent)"
    )
    assert seen.count("#plot .axis text") > 4


def test_the_mouse_finds_selects_and_moves(look) -> None:
    """A mark under the mouse tells its fields, a click opens its line; a drag moves the view."""
    seen = look("few")
    first = seen.page.locator("#plot .one").first
    first.hover()
    seen.wait_text("#tip", "advertiser_id a17")
    seen.page.wait_for_function("() => document.querySelector('#list li.hovered')")
    seen.page.locator("#plot .hovered .mark").first.click()
    seen.page.locator("#list li.selected dl").wait_for()
    seen.press("+", "+")
    seen.wait_zoomed(True)
    before = seen.page.locator("#span").inner_text()
    box = seen.page.locator("#plot").bounding_box()
    seen.page.mouse.move(box["x"] + 800, box["y"] + 20)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 500, box["y"] + 20, steps=3)
    seen.page.mouse.up()
    seen.page.wait_for_function("before => document.getElementById('span').textContent !== before", arg=before)


def test_what_was_stored_is_shown_as_text(look) -> None:
    """Scripts in names, fields and notes are seen as written and never run; no direction is turned around."""
    seen = look("hostile")
    page = seen.page
    page.locator("#list summary").first.click()
    page.locator("#plot .one").nth(1).hover()
    seen.wait_text("#tip", "a\\u202etxt")
    assert page.title().startswith("</script><script>")
    assert page.locator("h1").inner_text().startswith(EVIL)
    assert EVIL in page.locator("#list dl").first.inner_text()
    shown = page.locator("#list").inner_text()
    assert "a\\u202etxt.exe\\x00\\x1b[31m\\u2028'\"&amp;\\" in shown
    assert not re.search("[\u202e\x00\x1b\u2028]", page.content())
    assert page.evaluate("() => document.querySelectorAll('script').length") == 2
    assert page.locator("img").count() == 0
    page.locator("#list summary").nth(2).click()
    assert "more" in page.locator("#list dl").nth(1).inner_text()
    seen.check_width()


def test_the_policy_runs_no_other_script(look) -> None:
    """Nor would a script run, a picture load, or a request leave, that came into the page all the same."""
    seen = look("few")
    ran = seen.page.evaluate(
        """async () => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            const box = document.createElement("div");
            box.innerHTML = "<img src='data:,x' onerror='window.ran = true'>";
            document.body.append(box);
            const asked = await fetch("data:,x").then(() => "asked", () => "refused");
            await new Promise(done => setTimeout(done, 100));
            return [window.ran === true, asked];
        }"""
    )
    assert ran == [False, "refused"]
    assert any("Content Security Policy" in text for text in seen.wrong)
    seen.wrong.clear()


def test_ten_thousand_events_stay_usable(look) -> None:
    """Bins where marks would hide one another, marks from close by; the list grows as it is asked to."""
    seen = look("many")
    assert "10,000 events" in seen.page.locator("#counts").inner_text()
    assert seen.count("#plot .bin") > 100
    assert seen.count("#plot .one") == 0
    assert seen.page.evaluate("() => document.querySelectorAll('*').length") < 8000
    assert "lines 1 to 200 shown" in seen.page.locator("#shown").inner_text()
    seen.page.locator("#more").click()
    seen.wait_text("#shown", "lines 1 to 400 shown")
    seen.press("End", "Enter")
    seen.page.locator("#list li.selected dl").wait_for()
    assert seen.count("#list li") < 200
    seen.page.locator("#earlier").click()
    seen.page.wait_for_function("() => document.querySelectorAll('#list li').length === 200")
    seen.press(*["+"] * 6)
    seen.page.locator("#plot .one").first.wait_for()
    seen.press("End", "Enter")
    seen.page.locator("#list li.selected dl").wait_for()
    seen.wait_text("#told", "Click, ")


def test_no_events_and_an_expired_root_are_said(look) -> None:
    """An empty page says why; a root past its time to live is told from one that has not come."""
    seen = look("none")
    assert "There are no events of this user" in seen.page.locator("#empty").inner_text()
    assert not seen.page.locator("#panel").is_visible()
    seen.check_accessible()
    seen = look("expired")
    assert "1 root expired" in seen.page.locator("#counts").inner_text()
    assert "Banner has expired" in seen.page.locator("#list li.gone").inner_text()
    assert seen.count("#plot .mark.expired .strike") == 1
    seen.page.locator("#list summary").click()
    seen.wait_text("#list dl", "its Banner has expired")


def test_it_prints_on_paper(look, tmp_path: Path) -> None:
    """On white, whatever the screen's scheme, without what only a screen needs."""
    seen = look("few", dark=True)
    seen.page.emulate_media(media="print")
    for part in ("body", "#panel"):
        told = seen.page.locator(part).evaluate("part => getComputedStyle(part).backgroundColor")
        assert told == "rgb(255, 255, 255)"
    assert not seen.page.locator("#in").is_visible()
    assert seen.page.locator("#plot").is_visible()
    assert seen.page.pdf(path=tmp_path / "page.pdf").startswith(b"%PDF")
