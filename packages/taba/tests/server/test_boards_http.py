"""Boards over HTTP: listed, read, checked; and nothing outside of their folder, whatever is asked for."""

import json
import os
from urllib.parse import quote

import pytest
from server_process import ServerProcess, wait_until

from taba.server.board import MAX_BYTES
from taba.server.boards import BROUGHT_ALONG, MAX_BOARDS

BOARD = {"title": "Orders", "charts": [{"tabs": ["orders"]}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("boards")


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    server = ServerProcess(tmp_path_factory.mktemp("server"), boards=str(folder))
    yield server
    server.close()


@pytest.fixture(autouse=True)
def emptied(folder):
    """Each test begins without boards of its own."""
    yield
    for file in folder.iterdir():
        file.unlink()


def listed(server):
    return {board["name"]: board for board in server.get("/v1/boards")["boards"]}


def test_a_file_in_the_folder_is_a_board_at_once(server, folder):
    """Nothing is restarted: the file is there, so the board is; it is gone, so is the board."""
    assert server.request("GET", "/v1/boards/orders").status == 404
    (folder / "orders.json").write_text(json.dumps(BOARD))
    found = server.get("/v1/boards/orders")
    assert found == {"name": "orders", "file": str(folder / "orders.json"), "board": BOARD}
    row = listed(server)["orders"]
    assert (row["title"], row["charts"], row["error"]) == ("Orders", 1, None)
    (folder / "orders.json").unlink()
    assert "orders" not in listed(server)


def test_the_list_says_where_boards_belong(server, folder):
    """Who has a board to save is told the folder."""
    assert server.get("/v1/boards")["folder"] == str(folder)
    assert "this-machine" in server.get("/v1/boards", accept="text/plain").body.decode()
    assert b"name,title" in server.get("/v1/boards", accept="text/csv").body


def test_those_that_come_with_taba_are_boards_too(server, folder):
    """Each can be read as it is shipped; a file of one's own of the same name takes its place."""
    for file in BROUGHT_ALONG.glob("*.json"):
        assert server.get(f"/v1/boards/{file.stem}")["board"] == json.loads(file.read_text())
    (folder / "this-machine.json").write_text(json.dumps(BOARD))
    assert server.get("/v1/boards/this-machine")["board"] == BOARD
    assert listed(server)["this-machine"]["title"] == "Orders"


def test_a_file_that_is_no_board_is_told_with_file_and_place(server, folder):
    """In the list and at its own address, so that whoever wrote it sees it."""
    (folder / "bad.json").write_text('{"title": "x", "charts": [{"tab": "y"}]}')
    (folder / "my board.json").write_text(json.dumps(BOARD))
    answer = server.request("GET", "/v1/boards/bad")
    assert answer.status == 422
    assert answer.content["error"] == (
        f"{folder / 'bad.json'}: charts[0]: there is no field 'tab': did you mean 'tabs'?"
    )
    assert "there is no field 'tab'" in listed(server)["bad"]["error"]
    assert "another name" in listed(server)["my board"]["error"]


@pytest.mark.parametrize(
    "name",
    ["../secret", "..", ".", "..%2Fsecret", "%2e%2e%2fsecret", "secret%00", "a/../../secret", "~", "", "x" * 5000],
)
def test_names_lead_nowhere_else(server, folder, name):
    """No name reaches a file beside the folder."""
    (folder.parent / "secret.json").write_text(json.dumps(BOARD))
    for written in (name, quote(name, safe="")):
        answer = server.request("GET", f"/v1/boards/{written}")
        assert answer.status in (404, 307), answer
        assert b"Orders" not in answer.body


def test_links_and_special_files_are_not_followed_out_of_the_folder(server, folder):
    """A link to another place is no board, a pipe holds nobody up; a link within the folder is fine."""
    outside = folder.parent / "outside.json"
    outside.write_text(json.dumps(BOARD))
    (folder / "link.json").symlink_to(outside)
    (folder / "loop.json").symlink_to(folder / "loop.json")
    (folder / "real").write_text(json.dumps(BOARD))
    (folder / "inside.json").symlink_to("real")
    os.mkfifo(folder / "pipe.json")
    assert {"link", "loop", "pipe"} & listed(server).keys() == set()
    for name in ("link", "loop", "pipe"):
        assert server.request("GET", f"/v1/boards/{name}").status == 404
    assert server.get("/v1/boards/inside")["board"] == BOARD


def test_a_name_that_is_nearly_right_is_helped(server, folder):
    """404 says what was perhaps meant."""
    (folder / "orders.json").write_text(json.dumps(BOARD))
    assert "did you mean 'orders'?" in server.request("GET", "/v1/boards/order").content["error"]
    assert str(folder) in server.request("GET", "/v1/boards/zzz").content["error"]


def test_so_many_boards_are_listed_and_no_more(server, folder):
    """The list is bounded, and says that it was."""
    for number in range(MAX_BOARDS + 5):
        (folder / f"b{number:04}.json").write_text(json.dumps(BOARD))
    answer = server.get("/v1/boards")
    assert len(answer["boards"]) == MAX_BOARDS
    assert answer["left_out"] == 5 + len(list(BROUGHT_ALONG.glob("*.json")))


def test_a_board_can_be_checked_without_being_kept(server, folder):
    """What the page is given as a file is read by the same rules."""
    assert server.post(json.dumps(BOARD).encode(), path="/v1/boards").content == {"board": BOARD}
    bad = server.post(b'{"title": "x", "range": "5x"}', path="/v1/boards")
    assert bad.status == 400
    assert bad.content["error"].startswith("range: '5x' is not a duration")
    assert server.post(b" " * (MAX_BYTES + 1), path="/v1/boards").status == 413
    assert list(folder.iterdir()) == []


def test_the_folder_is_taken_anew_while_the_server_runs(tmp_path):
    """At SIGHUP, as other settings; a folder that is missing is one without boards."""
    server = ServerProcess(tmp_path, boards=str(tmp_path / "missing"))
    try:
        assert listed(server).keys() == {file.stem for file in BROUGHT_ALONG.glob("*.json")}
        other = tmp_path / "other"
        other.mkdir()
        (other / "orders.json").write_text(json.dumps(BOARD))
        server.reload(boards=str(other))
        wait_until(lambda: "orders" in listed(server))
    finally:
        server.close()
