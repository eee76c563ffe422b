"""`taba ledger` shows what became of every event, so that a reader can add it up, in any terminal."""

import pytest
from rich.text import Text

from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.ledger import pictured

NOW = 10_000.0


def row(recorded, folded=None, dropped=None, in_flight=0, complete_to=NOW - 1, **more):
    folded = recorded if folded is None else folded
    return {
        "recorded": recorded,
        "folded": folded,
        "dropped": dropped or {},
        "in_flight": in_flight,
        "in_flight_since": NOW - 300 if in_flight else None,
        "complete_to": complete_to,
        "heard": NOW - 1,
        "processes": 1,
    } | more


def answer(rows, *warnings, current=2, known=2):
    dropped: dict[str, int] = {}
    for held in rows.values():
        for reason, count in held["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    total = {key: sum(held[key] for held in rows.values()) for key in ("recorded", "folded", "in_flight")}
    return {
        "complete_to": NOW - 300,
        "clients": {"current": current, "known": known},
        "total": total | {"dropped": dropped},
        "ledger": rows,
        "warnings": list(warnings),
    }


WELL = {"cron-1": row(12, complete_to=None), "web-1": row(1_204_551)}
TROUBLED = WELL | {"web-2": row(1_000_000, 949_499, {"pending_full": 500, "wrong_type": 1}, 50_000, NOW - 300)}


def shown(content, width=100):
    return [line.plain for line in pictured(content, NOW, width)]


def test_where_all_is_well_the_numbers_say_so_and_nothing_else_is_said():
    assert shown(answer(WELL)) == [
        "client   recorded     folded  dropped  in flight  complete to  heard",
        "cron-1         12         12        0          0  –            now",
        "web-1   1,204,551  1,204,551        0          0  now          now",
        "in all  1,204,563  1,204,563        0          0",
    ]


def test_numbers_are_in_full_and_what_is_wrong_stands_below():
    warning = "two processes record as web-2 at once"
    assert shown(answer(TROUBLED, warning, current=1))[3:] == [
        "web-2   1,000,000    949,499      501     50,000  5 min ago    now",
        "in all  2,204,563  2,154,062      501     50,000",
        "  dropped: pending_full 500, wrong_type 1",
        "  answers wait for nobody who is silent: 1 of 2 clients are in it",
        "  two processes record as web-2 at once",
    ]


def test_one_client_needs_no_total():
    assert [line.split()[0] for line in shown(answer({"web-1": row(3)}))] == ["client", "web-1"]


def test_a_narrow_terminal_spares_ages_first_and_says_so():
    narrow = shown(answer(TROUBLED), width=60)
    assert max(map(len, narrow)) <= 60
    assert narrow[0].split() == ["client", "recorded", "folded", "dropped", "in", "flight", "complete", "to"][:6]
    assert "  complete to, heard: in a wider terminal, or with --json" in narrow


def test_events_that_are_nowhere_get_a_column():
    rows = WELL | {"web-1": row(10, 8, unaccounted=2)}
    assert "unaccounted" in shown(answer(rows))[0]
    assert "unaccounted" not in shown(answer(WELL))[0]


def test_drops_and_flights_stand_out_and_zeros_do_not():
    web_1, web_2 = pictured(answer(TROUBLED), NOW, 100)[2:4]
    styles = [str(span.style) for span in web_2.spans]
    assert {"red", "yellow"} <= set(styles)
    assert not {"red", "yellow"} & {str(span.style) for span in web_1.spans}


def test_titles_stay_beside_their_rows_where_columns_may_go_instead():
    grid = Grid([Column("count"), Column("mean", spare=1)], groups=[Group(Text("orders"), [["12", "1.5"]])])
    assert lines(grid, 14)[1] == [], "else it gives the title a line of its own"
    grid.titles_inline = True
    picture, left_out = lines(grid, 14)
    assert ([line.plain for line in picture], left_out) == (["tab     count", "orders     12"], ["mean"])


def test_a_glob_reaches_the_server_and_json_is_its_own(taba, server):
    content = answer(WELL)
    server.answers["/v1/ledger"] = (200, content)
    ended = taba("ledger", "web-*", "--json", "--server", server.url)
    assert server.asked == [("/v1/ledger", [("client", "web-*")])]
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert '"recorded": 1204563' in ended.out


def test_warnings_are_no_failure(taba, server):
    server.answers["/v1/ledger"] = (200, answer(TROUBLED, "a warning"))
    ended = taba("ledger", "--server", server.url)
    assert (ended.code, ended.err) == (0, "")
    assert "a warning" in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no client has recorded anything yet: try 'taba record hello 1'"),
        (["zzz*"], "no client matches 'zzz*': 'taba clients' lists them all"),
    ],
)
def test_nobody_fails_with_a_hint(taba, server, arguments, told):
    server.answers["/v1/ledger"] = (200, answer({}, current=0, known=0))
    ended = taba("ledger", *arguments, "--server", server.url)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err
