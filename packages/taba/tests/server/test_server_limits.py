"""Limits on tabs: what is beyond one is refused with its name, counted for its client, and harms nobody else."""

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_process import ServerProcess, wait_until

from taba.server.client_tabs import ClientTabs


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = {"client_tabs": 10, "name_tabs": 5, "tab_tags": 2}
    server = ServerProcess(tmp_path_factory.mktemp("limits"), gather_ms=2, limits=limits)
    yield server
    server.close()


def post(server, client, *tabs):
    events = [{"tab": tab, "value": 1} for tab in tabs]
    answer = server.post(msgspec.json.encode({"client": client, "events": events}))
    assert answer.status == 200
    return answer.content


def noisy(server, client):
    rows = server.get("/v1/noisiest")["noisiest"]["clients"]
    return next(row for row in rows if row["client"] == client)


def test_tabs_of_one_client(server):
    """A client has as many tabs as the limit says; its known ones go on, and other clients have their own."""
    tabs = [f"greedy{number}" for number in range(25)]
    first = post(server, "greedy", *tabs)
    assert first["accepted"] == 10
    assert "greedy records to 10 tabs within the hour, and that is the limit" in first["rejected"][0]["error"]
    assert "(limits.client_tabs)" in first["rejected"][0]["error"]
    assert [one["index"] for one in first["rejected"]] == list(range(10, 25))
    assert post(server, "greedy", *tabs)["accepted"] == 10, "those that it has"
    assert post(server, "modest", *tabs[:10])["accepted"] == 10
    row = noisy(server, "greedy")
    assert (row["events"], row["dropped"], row["reasons"]) == (20, 30, {"client_tab_limit": 30})


def test_tabs_of_one_name(server):
    """A tag with too many values, as an id in it, takes so many tabs of its name and no more."""
    tabs = [f"page{{id={number}}}" for number in range(9)]
    told = post(server, "web-1", *tabs, "other{id=1}")
    assert told["accepted"] == 6
    assert "page has 5 tabs" in told["rejected"][0]["error"]
    assert "(limits.name_tabs)" in told["rejected"][0]["error"]
    assert noisy(server, "web-1")["reasons"] == {"name_tab_limit": 4}
    name = server.get("/v1/noisiest")["noisiest"]["names"][0]
    assert (name["name"], name["tabs"]) == ("page", 5)


def test_tags_of_one_tab(server):
    """A tab with more tags than the limit is refused; one with as many is taken."""
    told = post(server, "web-2", "shop{a=1,b=2}", "shop{a=1,b=2,c=3}")
    assert told["accepted"] == 1
    assert "has 3 tags: at most 2 are taken (limits.tab_tags)" in told["rejected"][0]["error"]
    assert noisy(server, "web-2")["reasons"] == {"tag_limit": 1}


def test_limits_hold_anew_after_a_reload(tmp_path):
    """Raised limits let more in, without a restart and without losing what there is."""
    server = ServerProcess(tmp_path, gather_ms=2, limits={"client_tabs": 2})
    try:
        tabs = [f"t{number}" for number in range(6)]
        assert post(server, "c", *tabs)["accepted"] == 2
        server.reload(limits={"client_tabs": 5})
        wait_until(lambda: post(server, "c", *tabs)["accepted"] == 5)
    finally:
        server.close()


PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=1, max_size=60)


@given(st.lists(PAIRS, max_size=5), st.integers(1, 6))
def test_the_first_tabs_of_each_client_are_within(batches, limit):
    """As a plain loop would say: of each client the first so many tabs, and all events of those."""
    within: dict[str, set[str]] = {}
    counted = ClientTabs(lambda: 0.0)
    for pairs in batches:
        tabs = pl.Series([tab for tab, _ in pairs], dtype=pl.Categorical)
        clients = pl.Series([client for _, client in pairs], dtype=pl.Categorical)
        expected = []
        for tab, client in pairs:
            own = within.setdefault(client, set())
            if len(own) < limit:
                own.add(tab)
            expected.append(tab not in own)
        beyond = counted.beyond(tabs, clients, limit)
        assert ([False] * len(pairs) if beyond is None else beyond.to_list()) == expected


def test_after_an_hour_it_begins_anew():
    """A client that has left its old tabs may have others."""
    now = [0.0]
    counted = ClientTabs(lambda: now[0])
    client = pl.Series(["c"], dtype=pl.Categorical)
    for tab in ("a", "b"):
        beyond = counted.beyond(pl.Series([tab], dtype=pl.Categorical), client, 1)
        assert (beyond is None) == (tab == "a")
    now[0] = 3601.0
    assert counted.beyond(pl.Series(["b"], dtype=pl.Categorical), client, 1) is None
