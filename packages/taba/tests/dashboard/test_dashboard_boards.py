"""Boards as they are seen: drawn, opened from a file, changed, saved; and what is wrong with one, with its place."""

import json
from pathlib import Path

import pytest
from fleet import HOSTILE, fill
from server_process import ServerProcess

from taba.server.board import parse

BOARD = {
    "title": "Checkout",
    "text": f"How the shops sell. {HOSTILE}",
    "range": "10m",
    "charts": [
        {"tabs": ["checkout.ms"], "title": "Time to check out", "size": "large", "compare": "hour"},
        {"tabs": ["orders"], "by": ["shop"], "title": "Orders by shop"},
        {"tabs": ["pages"], "title": "Pages"},
        {"tabs": ["release"], "size": "small"},
        {"tabs": ["queue.*", "visitors"], "size": "small"},
        {"tabs": ["errors"], "size": "small"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards")
    (folder / "checkout.json").write_text(json.dumps(BOARD))
    (folder / "broken.json").write_text('{"title": "Broken", "charts": [{"tab": "x"}]}')
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    server = ServerProcess(tmp_path_factory.mktemp("server"), gather_ms=2, boards=str(folder))
    fill(server)
    yield server
    server.close()


def wait_drawn(page, charts=6):
    """Until every chart has something in it; those that are not seen are drawn when they are."""
    page.wait_for_function(f"() => document.querySelectorAll('.board-chart').length === {charts}")
    for chart in page.locator(".board-chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".board-body").locator("canvas, ol, svg, .board-none").first.wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_board_is_drawn_from_its_file(look, dark):
    """Each chart in its type's way, its groups as lines with a legend; readable by everybody."""
    seen = look(dark=dark)
    page = seen.open("#/boards/checkout")
    wait_drawn(page)
    assert page.locator("h1").inner_text() == "Checkout"
    assert HOSTILE in seen.text(".board-lead")
    shops = page.locator("article", has_text="Orders by shop").locator(".board-legend .name").all_inner_texts()
    assert sorted(shops) == ["shop=berlin", "shop=paris", "shop=zürich <b>&'"]
    assert page.locator("article", has_text="Pages").get_by_text("/home").count() == 1
    seen.picture(f"board-{'dark' if dark else 'light'}")
    seen.check_accessible(*(["color-contrast"] if dark else []))


def test_a_board_on_a_phone_and_for_another_time(look):
    """It fits, and all its charts can be shown over another range, which the address says."""
    seen = look(phone=True)
    page = seen.open("#/boards/checkout?range=1h")
    wait_drawn(page)
    page.wait_for_selector("article >> text=1h")
    seen.picture("board-phone")
    seen.check_width()


def test_the_list_has_all_and_says_what_is_wrong_with_one(look, folder):
    """A file that is no board is in the list with its file and place, and so is it at its own address."""
    seen = look()
    seen.expected.append("422.*boards/broken")
    seen.expected.append("404.*boards/nothing")
    page = seen.open("#/boards")
    page.wait_for_selector("text=This machine")
    assert f"{folder / 'broken.json'}: charts[0]: there is no field 'tab'" in seen.text(".boards")
    seen.picture("boards-light")
    seen.check_accessible()
    page.get_by_role("link", name="Checkout").click()
    wait_drawn(page)
    seen.go("#/boards/broken").wait_for_selector("text=did you mean 'tabs'?")
    seen.go("#/boards/nothing").wait_for_selector("text=there is no board 'nothing'")


def test_the_board_that_comes_with_taba_is_shown(look):
    """Where this machine records nothing, it says so in each chart and is no error."""
    page = look().open("#/boards/this-machine")
    wait_drawn(page, 7)


def test_a_board_is_opened_from_a_file_changed_and_saved(look, tmp_path):
    """Nothing is kept on the server: the page gives a file, and says where it belongs."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"title": "Mine", "charts": [{"tabs": ["orders"]}]}))
    seen = look()
    seen.expected.append("400.*v1/boards")
    page = seen.open("#/boards")
    page.wait_for_selector("text=This machine")
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_selector("h1 >> text=Mine")
    wait_drawn(page, 1)
    page.get_by_role("button", name="Edit").click()
    area = page.get_by_label("The board as JSON")
    area.fill('{"title": "Mine", "range": "5x"}')
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_selector(".problem >> text=range: '5x' is not a duration")
    changed = {"title": "Mine & yours", "charts": [{"tabs": ["orders"]}, {"tabs": ["checkout.ms"], "figure": "p90"}]}
    area.fill(json.dumps(changed))
    page.get_by_role("button", name="Show", exact=True).click()
    wait_drawn(page, 2)
    seen.picture("board-editor-light")
    seen.check_accessible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as a file").click()
    assert waiting.value.suggested_filename == "mine-yours.json"
    assert parse(Path(waiting.value.path()).read_bytes()).title == "Mine & yours"
    page.wait_for_selector("role=status >> text=mine-yours.json is downloaded")


def test_a_file_is_dropped_on_the_list(look):
    """As people do with files."""
    page = look().open("#/boards")
    page.wait_for_selector("text=This machine")
    page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "dropped.json", {type: "application/json"}));
            document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        json.dumps({"title": "Dropped", "charts": []}),
    )
    page.wait_for_selector("h1 >> text=Dropped")


def test_a_new_board_begins_with_something(look):
    """Who begins a board sees one that works, and its text."""
    page = look().open("#/boards")
    page.get_by_role("button", name="New board").click()
    page.get_by_label("The board as JSON").wait_for()
    wait_drawn(page, 1)
