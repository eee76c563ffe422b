"""Access logs: a request is understood in each of the usual formats, and following a log loses no line."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.cli.access_log import Request, parse
from taba.cli.following import LINGER, Follower

START = '203.0.113.7 - ann [23/Nov/2026:10:00:00 +0000] "GET /shop/7?a=b HTTP/1.1" 200 512'


def request(**fields) -> Request:
    return Request("203.0.113.7", "GET", "/shop/7", 200, 512, None).__class__(
        **{"address": "203.0.113.7", "method": "GET", "path": "/shop/7", "status": 200, "bytes": 512, "seconds": None}
        | fields
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (START, request()),
        (START + ' "-" "Mozilla/5.0 (X11)"', request()),
        (START + ' "-" "Mozilla/5.0 (X11)" 0.125\r', request(seconds=0.125)),
        (START + r' "-" "a \"quoted\" agent" "198.51.100.1" 0.125', request(seconds=0.125)),
        (START + " 1.500", request(seconds=1.5)),
        (START + ' "-" "agent" 17', request()),
        (START.replace("203.0.113.7", "2001:db8::1"), request(address="2001:db8::1")),
        (START.replace("ann", "ann lee"), request()),
        (START.replace(" 512", " -"), request(bytes=0)),
        (START.replace("GET /shop/7?a=b", "POST http://example.org/x?y"), request(method="POST", path="/x")),
        (START.replace("GET /shop/7?a=b", "OPTIONS *"), request(method="OPTIONS", path="*")),
        (START.replace("GET /shop/7?a=b HTTP/1.1", "GET /old"), request(path="/old")),
        (START.replace("GET /shop/7?a=b", "EVIL /x"), request(method="other", path="/x")),
        (START.replace("GET /shop/7?a=b HTTP/1.1", r"\x16\x03"), request(method="other", path=None)),
        (START.replace("GET /shop/7?a=b HTTP/1.1", "-"), request(method="other", path=None)),
        (START.replace("GET /shop/7?a=b HTTP/1.1", ""), request(method="other", path=None)),
        (START.replace("/shop/7?a=b", "http://[/"), request(path=None)),
        (START.replace("200", "503"), request(status=503)),
    ],
)
def test_a_line_is_a_request(line, expected):
    assert parse(line.encode()) == expected


@pytest.mark.parametrize("line", ["", "garbage", START[:-8], START.replace("200", "999"), "x" * 70_000])
def test_another_line_is_none(line):
    assert parse(line.encode()) is None


@given(st.binary(max_size=200))
def test_no_line_stops_the_parser(raw):
    parse(raw)
    parse(START.encode() + b' "' + raw)


class Log:
    """A log that is written to as a web server and logrotate do."""

    def __init__(self, path):
        self.path = path
        self.file = path.open("ab")

    def write(self, text: str) -> None:
        self.file.write(text.encode())
        self.file.flush()

    def rename(self) -> None:
        """Rotate: from now on the path is another file; writing goes on in the old one."""
        self.path.replace(self.path.with_suffix(f".{random.getrandbits(60)}"))
        self.path.touch()

    def reopen(self) -> None:
        self.file.close()
        self.file = self.path.open("ab")


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "access.log")


def all_lines(follower: Follower) -> list[str]:
    found: list[bytes] = []
    while lines := follower.read():
        found += lines
    return [line.decode() for line in found]


def test_a_log_is_followed_from_its_end_or_from_its_start(log):
    log.write("old\n")
    from_end, from_start = Follower(log.path, from_start=False), Follower(log.path, from_start=True)
    log.write("new\n")
    assert all_lines(from_end) == ["new"]
    assert all_lines(from_start) == ["old", "new"]


def test_half_a_line_waits_for_its_other_half(log):
    follower = Follower(log.path, from_start=True)
    log.write("one\ntw")
    assert all_lines(follower) == ["one"]
    log.write("o\n")
    assert all_lines(follower) == ["two"]
    log.write("three")
    assert all_lines(follower) == []
    assert follower.last() == [b"three"]


def test_a_rotated_log_is_read_to_its_end(log):
    """Web servers write to the old file until they are told, so it is read on beside the new one."""
    now = 0.0
    follower = Follower(log.path, from_start=True, clock=lambda: now)
    log.write("1\n")
    assert all_lines(follower) == ["1"]
    log.write("2\n")
    log.rename()
    log.write("3\n")
    assert all_lines(follower) == ["2", "3"]
    log.write("4\nfive without end")
    log.reopen()
    log.write("6\n")
    now = LINGER + 1
    assert sorted(all_lines(follower)) == ["4", "6", "five without end"]
    log.rename()
    log.reopen()
    log.write("7\n")
    assert all_lines(follower) == ["7"]


def test_a_truncated_log_is_read_from_its_start(log):
    follower = Follower(log.path, from_start=True)
    log.write("before\n")
    assert all_lines(follower) == ["before"]
    log.file.truncate(0)
    log.write("now\n")
    assert all_lines(follower) == ["now"]


def test_a_log_may_come_and_go(tmp_path):
    path = tmp_path / "access.log"
    follower = Follower(path, from_start=False)
    assert all_lines(follower) == []
    log = Log(path)
    log.write("first\n")
    assert all_lines(follower) == ["first"], "what began after we did is read whole"
    path.unlink()
    assert all_lines(follower) == []
    log.reopen()
    log.write("second\n")
    assert all_lines(follower) == ["second"]
    follower.close()


@given(st.lists(st.sampled_from(["write", "half", "rename", "reopen", "read"]), max_size=40))
def test_whatever_the_order_each_line_is_read_once(tmp_path_factory, steps):
    log = Log(tmp_path_factory.mktemp("log") / "access.log")
    now = 0.0
    follower = Follower(log.path, from_start=True, clock=lambda: now)
    found: list[str] = []
    written = 0
    for step in steps:
        if step == "write":
            log.write(f"{written}\n")
            written += 1
        elif step == "half":
            log.write(f"{written}")
            found += all_lines(follower)
            log.write("\n")
            written += 1
        elif step == "rename":
            found += all_lines(follower)  # two rotations between two looks are one too many
            log.rename()
        elif step == "reopen":
            log.reopen()
        else:
            found += all_lines(follower)
    found += all_lines(follower)
    assert sorted(map(int, found)) == list(range(written))
