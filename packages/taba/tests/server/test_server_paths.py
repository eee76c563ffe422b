"""Whatever way a path takes, it leads to the page's files, to boards, and to nothing else."""

import json
import re
import socket
from itertools import product
from urllib.parse import urlsplit

import pytest
from server_process import ServerProcess

BOARD = {"title": "told to all", "charts": [{"title": "A", "tabs": ["a"]}]}
HIDDEN = BOARD | {"title": "told to nobody"}
UP = ("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..;", "%c0%ae%c0%ae", "....//..", "..%00")
SLASH = ("/", "%2f", "%2F", "%5c", "\\", "//", "/./", "%252f", "%c0%af")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    boards = folder / "boards"
    boards.mkdir()
    (boards / "shown.json").write_text(json.dumps(BOARD))
    (folder / "hidden.json").write_text(json.dumps(HIDDEN))
    (boards / "linked.json").symlink_to(folder / "hidden.json")
    server = ServerProcess(folder, boards=str(boards))
    yield server
    server.close()


def asked(server, path):
    """The answer to a path that is sent as it stands, its first line apart."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=60) as connection:
        connection.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def ways(base, up, slash, *files):
    """Paths from a folder upwards, one step to nine, to files that are there."""
    steps = f"{up}{slash}"
    yield from (f"{base}{steps * depth}{file}" for depth in (1, 2, 3, 9) for file in files)


def test_the_page_s_files_lead_nowhere_else(server):
    """Dots and slashes, written and encoded in every way: no file but the page's own is sent, and no call answered."""
    base = re.findall(r"ui/[0-9a-f]{12}", asked(server, "/")[1].decode())[0]
    assert asked(server, f"/{base}/app.js")[0] == 200
    for up, slash in product(UP, SLASH):
        for path in ways(f"/{base}/", up, slash, "app.py", "__init__.py", "server/app.py", "etc/passwd", "v1/status"):
            status, body = asked(server, path)
            assert 400 <= status < 500, path
            assert not any(sign in body for sign in (b"import ", b"root:", b'"pid"')), path
    for path in (f"/{base}//etc/passwd", f"/{base}/%2fetc/passwd", "/ui//etc/passwd", "/ui/x/file:///etc/passwd"):
        assert asked(server, path)[0] == 404, path


def test_boards_lead_nowhere_else(server):
    """A board is a file of the boards' folder: not one above it, and none that a link in it leads to."""
    assert asked(server, "/v1/boards/shown")[0] == 200
    paths = [
        path for up, slash in product(UP, SLASH) for path in ways("/v1/boards/", up, slash, "hidden", "hidden.json")
    ]
    paths += ["/v1/boards/linked", "/v1/boards/shown.json/../../hidden", "/v1/boards/%2e", "/v1/boards/shown%00"]
    for path in paths:
        status, body = asked(server, path)
        assert 400 <= status < 500, path
        assert b"told to nobody" not in body, path
    assert b"told to nobody" not in asked(server, "/v1/boards")[1]
