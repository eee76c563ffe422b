"""The page of a user as a file: what is in it, where it goes, what it refuses. No browser."""

import base64
import hashlib
import itertools
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timeline_pages import EVIL, HEBREW, TYPES, expired, few
from typer.testing import CliRunner, Result

import eventlog
from eventlog.cli.app import app
from eventlog.cli.shown import safe
from eventlog.cli.timeline import Asked, History, file_name, history, page, save
from eventlog.cli.timeline.history import Group, Kind, Shown
from eventlog.errors import EngineError, QueryError

SEEN = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""What a colour becomes, in linear sRGB, for who lacks a kind of cones: Machado, Oliveira and Fernandes, 2009."""


class Parts(HTMLParser):
    """The elements of a page with their attributes, and the texts in those that hold one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and data.strip():
            self.texts.append((self.elements[-1][0], data))

    def data(self) -> dict[str, object]:
        """The data, as the script of the page gets them."""
        return json.loads(next(text for tag, text in self.texts if tag == "script"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of users with few events each, and one named like a path."""
    base = tmp_path_factory.mktemp("timeline-page")
    with eventlog.open(base / "log", TYPES) as log:
        few(log)
        expired(log)
        log.write([TYPES[0](user="../a b", time="2011-02-16T10:00:00Z")])
    return base


def run(folder: Path, *words: str) -> Result:
    """The command in this process; what it refuses is the result's exception."""
    return CliRunner().invoke(app, ["--log", str(folder / "log"), "user", *words])


def of(text: str) -> History:
    """A history in which everything that can is this text."""
    told = Shown(text, 0, 1, 1, [(safe(text), safe(text))], [])
    return History(Asked(safe(text), since=safe(text)), 1, [Kind(safe(text))], [Group("r", 1, told, "came", [])])


def test_the_command_writes_a_file_named_for_the_user(folder: Path, tmp_path: Path) -> None:
    """By default USER.html, here. A name like a path stays in this folder. No part of a file is left beside."""
    command = [str(Path(sys.executable).with_name("eventlog")), "--log", str(folder / "log"), "user", "--html"]
    for user in ("u1", "../a b"):
        done = subprocess.run([*command, user], cwd=tmp_path, capture_output=True, timeout=120, check=True)
        assert b"in " + file_name(user).encode() in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == [file_name("../a b"), "u1.html"]


def test_the_command_writes_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    """Into a file, or to standard output; of a user without events there is a page too."""
    run(folder, "u1", "--html", str(tmp_path / "a.html"))
    none = run(folder, "nobody", str(tmp_path / "none.html"), "--html")
    assert "no events of 'nobody'" in none.stderr
    told = run(folder, "u1", "--html", "-").stdout
    assert told.startswith("<!doctype html>")
    assert Parts(told).data()["rows"] == Parts((tmp_path / "a.html").read_text()).data()["rows"]
    assert Parts((tmp_path / "none.html").read_text()).data()["rows"] == []


def test_the_flags_of_the_command_narrow_the_page(folder: Path) -> None:
    """Times, types and a limit do what they do to the text, and the page says that it is not all."""
    done = run(folder, "u1", "--html", "-", "--since", "2011-02-17", "--type", "PageView", "--limit", "1")
    data = Parts(done.stdout).data()
    assert [data["types"][row["root"]["type"]]["name"] for row in data["rows"]] == ["PageView"]  # type: ignore[index]
    assert data["asked"] == {"user": "u1", "since": "2011-02-17", "until": None, "types": ["PageView"], "limit": 1}


def test_what_cannot_be_done_is_said_and_harms_no_file(folder: Path, tmp_path: Path) -> None:
    """Two forms at once, a file without a form, a folder that is not there, a folder as a file; the old page stays."""
    assert "can't go together" in str(run(folder, "u1", "--html", "--json").exception)
    assert "goes with --html" in str(run(folder, "u1", "a.html").exception)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept").write_text("kept")
    wrong = {tmp_path / "no" / "where.html": "can't be written", tmp_path / "old": "is a folder", "/": "is a folder"}
    for name, why in wrong.items():
        failed = run(folder, "u1", "--html", str(name)).exception
        assert isinstance(failed, EngineError)
        assert why in str(failed)
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["kept", "old"]
    old = tmp_path / "old.html"
    old.write_text("as it was")
    with pytest.raises(EngineError, match="can't be written"):
        save("half \ud800", old)
    assert old.read_text() == "as it was"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["old", "old.html"]


def test_a_page_bears_only_so_many_events(folder: Path) -> None:
    """More are refused with what to do, before a browser is brought down by them."""
    with (
        eventlog.open(folder / "log", TYPES, read_only=True) as log,
        pytest.raises(QueryError, match="--since"),
    ):
        history(Asked("u1"), log.user("u1").rows(), log.catalog.parent, 0, most=6)


@pytest.mark.parametrize("typed", [False, True])
def test_rows_become_plain_values(folder: Path, typed: bool) -> None:
    """Fields decoded, parents by type, orphans and expired roots told apart, with classes and without."""
    with eventlog.open(folder / "log", TYPES if typed else (), read_only=True) as log:
        found = history(Asked("u1"), log.user("u1").rows(), log.catalog.parent, 0)
        gone = history(Asked("u2"), log.user("u2").rows(), log.catalog.parent, 0)
    names = [kind.name for kind in found.types]
    assert {kind.name: kind.parent for kind in found.types}["Click"] == names.index("Impression")
    assert [row.state for row in found.rows] == ["came", "came", "came", "came", "missing"]
    first = found.rows[0].root
    assert first is not None
    assert {("price", "2.5"), ("sizes", "[300,250]"), ("raw", "ff00"), ("advertiser_id", "a17")} <= set(first.fields)
    assert set(first.notes) == {("model", "v7"), ("score", "0.31")}
    assert [row.state for row in gone.rows] == ["expired"]
    assert {kind.name for kind in gone.types} == {"Seen", "Banner"}


@given(
    st.text(max_size=60) | st.sampled_from([EVIL, HEBREW, "<!--<script>", "]]>", "&lt;", "$title $data ${x}", "\ud800"])
)
def test_no_text_leaves_its_place(text: str) -> None:
    """Whatever a name or a value holds: the page has the same elements, and its script reads the same text."""
    told = page(of(text))
    parts = Parts(told)
    assert [tag for tag, _ in parts.elements] == [tag for tag, _ in Parts(page(of("x"))).elements]
    data = parts.data()
    assert data["asked"]["user"] == safe(text)  # type: ignore[index]
    assert data["rows"][0]["root"]["fields"] == [[safe(text)] * 2]  # type: ignore[index]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f\u2028\u2029]", told)


def test_the_page_asks_for_nothing_and_runs_only_its_own() -> None:
    """No address, no handler, no style in an attribute; the policy's hashes are those of its two parts."""
    told = page(of("u1"))
    parts = Parts(told)
    attributes = {name for _, given_ in parts.elements for name in given_}
    assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "style", "action")}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", told)
    policy = next(one["content"] for tag, one in parts.elements if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    script = re.findall(r"<script>(.*?)</script>", told, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", told, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (*script, *style)]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_file_names_are_good_and_tell_users_apart(one: str, other: str) -> None:
    """One name in this folder, that no shell or listing takes for something else, and not another user's."""
    name = file_name(one)
    assert Path(name).name == name
    assert not name.startswith((".", "-"))
    assert len(name.encode()) < 200
    assert name.endswith(".html")
    assert name.isprintable()
    assert one == other or name != file_name(other)


def test_a_plain_name_stays_as_it_is() -> None:
    """`u1` is u1.html; what is changed gets a hash, so that `a/b` and `a_b` are two files."""
    assert file_name("u1") == "u1.html"
    assert file_name("müller@example.com") == "müller@example.com.html"
    assert file_name("a_b") == "a_b.html"
    assert re.fullmatch(r"a_b-[0-9a-f]{8}\.html", file_name("a/b"))


def _linear(colour: str) -> list[float]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _luminance(colour: str) -> float:
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))


def _lab(colour: str, seen: list[list[float]]) -> tuple[float, float, float]:
    """CIE L*a*b* of a colour as somebody sees it."""
    red, green, blue = (
        min(1, max(0, sum(share * part for share, part in zip(row, _linear(colour), strict=True)))) for row in seen
    )
    whole = (
        (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047,
        0.2126729 * red + 0.7151522 * green + 0.072175 * blue,
        (0.0193339 * red + 0.119192 * green + 0.9503041 * blue) / 1.08883,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in whole)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("seen", SEEN)
def test_everybody_tells_the_colours_apart(scheme: int, seen: str) -> None:
    """Any two colours of types differ by at least 18 in CIE Lab (2.3 is just seen), with any cones; each stands out
    from the ground by a contrast of 3 or more."""
    style = resources.files("eventlog.cli.timeline").joinpath("timeline.css").read_text("utf-8")
    colours = [found[scheme] for number in range(6) if (found := re.findall(rf"--c{number}: (#\w{{6}})", style))]
    ground = re.findall(r"--ground: (#\w{6})", style)[scheme]
    assert len(colours) == 6
    for one, other in itertools.combinations(colours, 2):
        assert math.dist(_lab(one, SEEN[seen]), _lab(other, SEEN[seen])) > 18, (one, other)
    for colour in colours:
        low, high = sorted((_luminance(colour), _luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3, colour
