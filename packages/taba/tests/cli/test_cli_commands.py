"""Commands: what they ask the server, how they end, and what they say when something is wrong."""

import json
import subprocess
import sys

import pytest
from rich.console import Console

from taba.cli import live, queries, watching
from taba.cli.app import app

COUNTER = {"count": 3, "total": 3, "mean": 1, "min": 1, "max": 1, "rate": 0.05}
TABS = {
    "complete_to": 1000,
    "tabs": [{"tab": "bids.won{e=f}", "name": "bids.won", "tags": {"e": "f"}, "type": "counter"}],
}
TABS["tabs"][0] |= {"clients": 2, "last_seen": 1000}
QUERIES = ["tabs", "clients", "agg", "proj", "series", "watch"]


@pytest.fixture
def asked(server):
    """The server with one tab in it."""
    server.answers |= {
        "/v1/tabs": (200, TABS),
        "/v1/clients": (200, {"complete_to": 1, "clients": [{"client": "web-1", "last_seen": 0, "tabs": 1}]}),
        "/v1/aggregates": (200, {"complete_to": 1000, "tabs": {"bids.won": {"1m": COUNTER}}}),
        "/v1/projections": (200, {"complete_to": 1000, "tabs": {"bids.won": {"web-1": {"1m": COUNTER}}}}),
        "/v1/series": (
            200,
            {"complete_to": 1060, "from": 1000, "to": 1060, "step": 3}
            | {"tabs": {"bids.won": [COUNTER | {"time": 1000}, COUNTER | {"time": 1030}]}},
        ),
    }
    server.answers["/v1/live"] = (200, lambda asked, _: told("answers", answer_of(server, asked)))
    return server


def answer_of(server, asked):
    """What the route answers of which a live answer is."""
    return server.answers[f"/v1/{asked.get('of', 'aggregates')}"][1]


def told(name, data, identity="x.1"):
    """A stream that ends after one event."""
    return f"retry: 1000\n\n: a comment\n\nevent: {name}\nid: {identity}\ndata: {json.dumps(data)}\n\n".encode()


def empty(server) -> None:
    for path, key in (("tabs", []), ("clients", []), ("aggregates", {}), ("projections", {}), ("series", {})):
        name = "clients" if path == "clients" else "tabs"
        server.answers[f"/v1/{path}"] = (200, {"complete_to": 1, name: key, "from": 0, "to": 60, "step": 3})
    server.answers["/v1/live"] = (200, lambda asked, _: told("answers", answer_of(server, asked)))


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_shows_what_it_found(taba, asked, query):
    arguments = [query, "bids*", *(["--count", "1"] if query == "watch" else [])]
    ended = taba(*arguments, "--server", asked.url)
    assert ended.code == 0
    assert "web-1" in ended.out or "bids.won" in ended.out
    assert "\x1b" not in ended.out, "no colours where the output is no terminal"


@pytest.mark.parametrize("query", QUERIES)
def test_json_is_the_servers_own_on_one_line(taba, asked, query):
    arguments = [query, "bids*", *(["--count", "1"] if query == "watch" else [])]
    ended = taba(*arguments, "--json", "--server", asked.url)
    path = {"agg": "aggregates", "proj": "projections", "watch": "aggregates"}.get(query, query)
    assert json.loads(ended.out) == asked.answers[f"/v1/{path}"][1]
    assert ended.out.count("\n") == 1


@pytest.mark.parametrize("query", QUERIES)
def test_nothing_matched_fails_with_a_hint(taba, server, query):
    empty(server)
    arguments = [query, "zzz*", *(["--count", "1"] if query == "watch" else [])]
    ended = taba(*arguments, "--server", server.url)
    assert ended.code == 1
    thing = "client" if query == "clients" else "tab"
    assert f"no {thing} matches 'zzz*': 'taba {thing}s' lists them all" in ended.err


def test_a_tab_that_is_near_is_suggested(taba, asked):
    asked.answers["/v1/aggregates"] = (200, {"complete_to": 1, "tabs": {}})
    ended = taba("agg", "bids.wom", "--server", asked.url)
    assert "no tab matches 'bids.wom': did you mean bids.won?" in ended.err
    ended = taba("agg", "bids.won", "--client", "x*", "--server", asked.url)
    assert "no client that matches 'x*' records to bids.won" in ended.err


def test_an_empty_server_is_told_how_to_begin(taba, server):
    empty(server)
    assert "nothing has been recorded yet: try 'taba record hello 1'" in taba("tabs", "--server", server.url).err
    assert "no client has recorded anything yet" in taba("clients", "--server", server.url).err


def test_parameters_reach_the_server(taba, asked, monkeypatch):
    monkeypatch.setattr(queries.time, "time", lambda: 10_000.0)
    taba("agg", "a", "--window", "1m", "--window", "90s", "--by", "e", "--client", "w*", "--server", asked.url)
    assert asked.asked[-1] == (
        "/v1/aggregates",
        [("tab", "a"), ("window", "1m"), ("window", "90s"), ("client", "w*"), ("by", "e")],
    )
    taba("proj", "a", "--from", "2h", "--to", "9000", "--server", asked.url)
    assert asked.asked[-1] == ("/v1/projections", [("tab", "a"), ("from", "2800.000"), ("to", "9000.000")])
    taba("series", "a", "--from", "1970-01-01T01:00:00+00:00", "--server", asked.url)
    times = [("from", "3600.000"), ("to", "10000.000")]
    assert asked.asked[-1] == ("/v1/series", [("tab", "a"), *times, ("step", "300s")])
    taba("tabs", "b*", "--server", asked.url)
    assert asked.asked[-1] == ("/v1/tabs", [("match", "b*")])


def test_a_window_between_two_times_is_named_by_the_clock(taba, asked):
    asked.answers["/v1/aggregates"] = (200, {"complete_to": 9, "tabs": {"a": {"1000/1060": COUNTER}}})
    ended = taba("agg", "a", "--from", "1000", "--to", "1060", "--server", asked.url)
    assert " to 1970-01-01 " in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["agg", "a", "--window", "7x"], "--window: '7x' is not a duration: write it as 90s, 10m, 1h or 1d"),
        (["agg", "a", "--from", "noon"], "--from: 'noon' is not a time"),
        (["agg", "a", "--to", "1m"], "--to needs --from"),
        (["agg", "a", "--from", "1m", "--to", "2m"], "--from 1m is not before --to 2m"),
        (["agg", "a", "--from", "1m", "--window", "1m"], "--window ends now"),
        (["series", "a", "--step", "fast"], "--step: 'fast' is not a duration"),
        (["record", "a b", "1"], "'a b' is not a name"),
        (["record", "a", "1", "--tag", "x"], "--tag 'x': write it as KEY=VALUE"),
        (["record", "a", "1", "--client", "a b"], "--client: 'a b' is not a client id"),
        (["record", "a", "--tpye"], "no such option: --tpye"),
        (["tabs", "--server", "ftp://x"], "--server ftp://x: expected an address such as http://127.0.0.1:8300"),
        (["tail", "/nowhere/access.log", "--once"], "there is no such file"),
        (["up", "--limits-tabs", "0"], "--limits-tabs is 0: expected a whole number, 1 or more"),
        (["agent", "--port", "70000"], "--port is 70000: expected a whole number from 0 to 65535"),
        (["agent", "--servers", "ftp://x"], "--servers: 'ftp://x' is not an address"),
        (["agent", "--config", "/nowhere/taba.toml"], "/nowhere/taba.toml: cannot be read"),
        (["up", "--agent-lanes", "0"], "--agent-lanes is 0: expected a whole number from 1 to 64"),
        (["up", "--config", "/nowhere/taba.toml"], "/nowhere/taba.toml: cannot be read"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_right(taba, arguments, told):
    ended = taba(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


@pytest.mark.parametrize("query", [["tabs"], ["agg", "a"], ["watch", "a"], ["ledger"], ["record", "a", "1"]])
def test_where_no_server_answers_it_says_how_to_start_one(taba, query):
    ended = taba(*query, "--server", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "taba: no Taba server at http://127.0.0.1:9: start one with 'taba up'\n"


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        ((400, {"error": "tab: too many globs"}), 2, "taba: tab: too many globs"),
        ((500, {"error": "the store is gone"}), 1, "taba: the store is gone"),
        ((404, b"<html>"), 1, "answers /v1/tabs with status 404 and not as a Taba server does"),
    ],
)
def test_what_the_server_says_is_passed_on(taba, server, answer, code, told):
    server.answers["/v1/tabs"] = answer
    ended = taba("tabs", "--server", server.url)
    assert (ended.code, told in ended.err) == (code, True), ended.err


def test_the_server_is_the_one_in_the_environment(taba, asked, monkeypatch):
    monkeypatch.setenv("TABA_SERVER", asked.url)
    assert taba("tabs").code == 0


@pytest.mark.parametrize(
    ("written", "value"),
    [("1", 1), ("-5", -5), ("2.5", 2.5), ("1e3", 1000), ("v1.2", "v1.2"), ('"1.10"', "1.10"), ("nan", "nan")],
)
def test_a_value_is_a_number_or_a_text(taba, server, written, value):
    assert taba("record", "a", written, "--server", server.url).code == 0
    assert server.events == [{"tab": "a", "value": value}]


def test_tags_and_type_and_client_are_recorded(taba, server):
    arguments = ["deploys{env=x}", "1", "--type", "gauge", "--tag", "b=2", "--tag", "a=1", "--client", "ci-7"]
    ended = taba("record", *arguments, "--server", server.url)
    assert server.events == [{"tab": "deploys{a=1,b=2,env=x}", "value": 1, "type": "gauge"}]
    assert "recorded 1 to deploys{a=1,b=2,env=x} as ci-7" in ended.err


def test_an_event_is_recorded_once_though_its_answer_was_lost(taba, server):
    server.trouble = ["busy", "lost", "cut"]
    assert taba("record", "a", "1", "--server", server.url).code == 0
    assert len(server.events) == 1


def test_a_rejected_event_fails(taba, server):
    server.refuse = lambda event: "counters take numbers"
    ended = taba("record", "a", "x", "--server", server.url)
    assert (ended.code, ended.err) == (1, "taba: counters take numbers\n")


class Terminal(Console):
    """A console that believes it is a terminal, and keeps what it shows."""

    def __init__(self) -> None:
        super().__init__(force_terminal=True, width=80, height=8, record=True, markup=False, highlight=False)


@pytest.mark.parametrize("query", ["agg", "proj", "series"])
def test_a_person_is_told_where_clients_are_missing_in_an_answer(taba, asked, monkeypatch, query):
    """And a program that reads the table is not, nor one that reads JSON."""
    for path in ("aggregates", "projections", "series"):
        asked.answers[f"/v1/{path}"][1]["clients"] = {"current": 3, "known": 4}
    assert "clients are in it" not in taba(query, "bids*", "--server", asked.url).out
    terminal = Terminal()
    monkeypatch.setattr(queries, "output", lambda: terminal)
    taba(query, "bids*", "--server", asked.url)
    assert "3 of 4 clients are in it" in terminal.export_text()
    asked.answers["/v1/aggregates"][1]["clients"] = {"current": 4, "known": 4}
    taba("agg", "bids*", "--server", asked.url)
    assert "clients are in it" not in terminal.export_text()


def test_watch_draws_until_it_is_interrupted_and_waits_for_a_server_that_went(taba, asked, monkeypatch):
    """Ctrl-C ends it in order; until then a server that went away is asked again, and what was drawn stays."""
    terminal = Terminal()
    monkeypatch.setattr(watching, "output", lambda: terminal)
    monkeypatch.setattr(watching, "LOOK", 0.05)
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.01)
    closing = []
    first_line = watching._told

    def line(watched):
        shown = terminal.export_text(clear=False)
        if "last minute" in shown and not closing:
            closing.append(asked.close())
        if "no Taba server at" in shown:
            raise KeyboardInterrupt
        return first_line(watched)

    monkeypatch.setattr(watching, "_told", line)
    ended = taba("watch", "bids*", "--server", asked.url)
    assert ended.code == 0
    shown = terminal.export_text()
    assert "bids.won" in shown
    assert "last minute" in shown
    assert f"no Taba server at {asked.url}" in shown


def test_watch_goes_on_where_it_was_and_merges_what_changed(taba, asked, monkeypatch):
    """After a break it names what it saw last, and what comes then is changes of that."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.01)
    more = {"complete_to": 1001, "tabs": {"bids.won": {"1m": COUNTER | {"count": 4}}, "bids.lost": {"1m": COUNTER}}}
    streams = {None: ("answers", answer_of(asked, {}), "x.1"), "x.1": ("changes", more, "x.2")}
    streams["x.2"] = ("changes", {"complete_to": 1002, "missed": 3, "tabs": {"bids.won": None}}, "x.3")
    asked.answers["/v1/live"] = (200, lambda _, headers: told(*streams[headers["Last-Event-ID"]]))
    ended = taba("watch", "bids*", "--json", "--count", 3, "--server", asked.url)
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert lines[0] == answer_of(asked, {})
    assert lines[1] == more
    assert lines[2] == {"complete_to": 1002, "tabs": {"bids.lost": {"1m": COUNTER}}}


def test_watch_says_what_is_wrong_and_that_it_is_over(taba, asked, monkeypatch):
    """Trouble passes; an error ends it, with the server's words."""
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.01)
    parts = [
        told("answers", answer_of(asked, {})),
        told("trouble", {"error": "the store is away"}),
        told("error", {"error": "too many rows"}),
    ]
    asked.answers["/v1/live"] = (200, lambda *_: b"".join(parts))
    ended = taba("watch", "bids*", "--json", "--server", asked.url)
    assert ended.code == 1
    assert "too many rows" in ended.err


def test_watch_says_how_much_does_not_fit(taba, asked, monkeypatch):
    """On a terminal of a few lines."""
    terminal = Terminal()
    monkeypatch.setattr(watching, "output", lambda: terminal)
    asked.answers["/v1/aggregates"] = (200, {"complete_to": 1, "tabs": {f"t{n}": {"1m": COUNTER} for n in range(9)}})
    assert taba("watch", "t*", "--count", 1, "--server", asked.url).code == 0
    assert "… 5 more lines: a taller terminal shows them" in terminal.export_text()


POINTS = {"from": 10, "to": 20, "step": 5}


def test_live_answers_merge_as_the_format_says():
    """Tabs are replaced, clients and points are merged, null takes out, and points before `from` go."""

    def after(held, of, **data):
        return live.merged(held, live.Event("changes", "", data), of)

    assert after({"a": 1, "tabs": {"x": {"1m": 1}, "z": {"1m": 1}}}, "aggregates", a=2, tabs={"y": {}, "z": None}) == {
        "a": 2,
        "tabs": {"x": {"1m": 1}, "y": {}},
    }
    clients = {"tabs": {"x": {"c1": {"1m": 1}, "c2": {"1m": 1}}, "y": {"c1": {}}}}
    assert after(clients, "projections", tabs={"x": {"c2": None, "c3": {"1m": 2}}, "y": None}) == {
        "tabs": {"x": {"c1": {"1m": 1}, "c3": {"1m": 2}}}
    }
    series = {"tabs": {"x": [{"time": 5, "n": 1}, {"time": 10, "n": 1}]}, "from": 5, "to": 15, "step": 5}
    assert after(series, "series", **POINTS, tabs={"x": [{"time": 15, "n": 3}, {"time": 10, "n": 2}]}) == {
        **POINTS,
        "tabs": {"x": [{"time": 10, "n": 2}, {"time": 15, "n": 3}]},
    }


def test_a_stream_is_read_as_events_whatever_else_is_in_it():
    """Comments, fields that nobody knows, ends of lines of either kind, and an event that is cut off."""
    lines = [b": hello\n", b"\n", b"event: answers\r\n", b"id:7\r\n", b'data: {"a":1}\r\n', b"\r\n", b"data: {"]
    assert list(live.events(iter(lines))) == [live.Event("answers", "7", {"a": 1})]


def commands():
    return [command.name or command.callback.__name__ for command in app.registered_commands]


@pytest.mark.parametrize("command", commands())
def test_every_commands_help_has_examples_that_fit_in_80_columns(taba, command):
    ended = taba(command, "--help")
    assert ended.code == 0
    examples = ended.out.partition("Examples")[2]
    lines = [line for line in examples.splitlines() if line.strip()]
    assert lines
    assert all("taba" in line for line in lines), "a line that begins otherwise was broken"
    usage = [line.strip() for line in ended.out.partition("Usage:")[2].splitlines()]
    written = " ".join(usage[: usage.index("")])
    assert not any(mark in written for mark in ("[[", "…}", "]...]")), "typer writes brackets and dots by itself"


def test_help_is_shown_where_nothing_was_asked(taba):
    ended = taba()
    assert "events become answers within a second" in ended.out + ended.err
    assert all(command in ended.out + ended.err for command in commands())


def test_version(taba):
    assert taba("--version").out.startswith("taba ")


def test_without_its_libraries_the_command_says_how_to_get_them():
    """The client alone needs the standard library alone, and its `taba` command must say so."""
    program = "import sys; sys.modules['typer'] = None; from taba.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    extras = "taba[agent] or taba[server]"
    assert ended.stderr == f"taba: this needs typer: install this package with its extra, {extras}\n"


def test_without_the_servers_libraries_up_says_how_to_get_them(tmp_path):
    """On a machine with `taba[agent]` alone the other commands run, and this one tells what it lacks."""
    program = "import sys; sys.modules['polars'] = None; from taba.cli import main; main()"
    arguments = ["up", "--port", "0", "--no-agent", "--data", tmp_path]
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr == "taba: this needs polars: install this package with its extra, taba[server]\n"


def test_a_reader_that_leaves_is_no_error(asked):
    """As in `taba tabs | head -1`."""
    asked.answers["/v1/tabs"] = (200, {"complete_to": 1, "tabs": TABS["tabs"] * 20_000})
    command = f"{sys.executable} -c 'from taba.cli import main; main()' tabs --server {asked.url} | head -1"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert (ended.stdout.split()[0], ended.stderr) == ("tab", "")
