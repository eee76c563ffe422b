"""The spool's disk is small, full, read-only or damaged: clients are told, losses are counted, the rest arrives."""

import http.client
import itertools
import shutil
import time
from collections import Counter

import pytest
from disks import read_only, small_disk
from fault_checks import (
    TABS,
    check_exact,
    check_fleet,
    check_ledger,
    differences,
    figures,
    projections,
    recorded,
    wait_counted,
)
from fault_world import Agent, await_, world
from server_process import frame_bytes

from taba import frame, names

LOAD = {"rate": 1000, "ballast": 60_000}
"""Half a megabyte a second of each client."""
SEGMENTS = "*.frames"


def post(port, body):
    """Status and headers of a POST of frames."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/events", body, {"Content-Type": frame.CONTENT_TYPE})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def trouble(agent):
    """What the agent says is wrong; None where nothing is."""
    status = agent.status()["status"]
    return None if status == "ok" else status


def wait_for_trouble(agent, *words):
    """Wait until the agent says that something is wrong, with these words in it."""
    await_(lambda: all(word in (trouble(agent) or "") for word in words), f"trouble with {words}", more=agent.status)
    assert agent.get("/ping")[0] == 503


def away(here):
    """No server can be reached."""
    for link in here.links:
        link.refuse()


def finished(here):
    """Servers can be reached again, and clients finish: their tallies, and the ledger once nothing is in flight."""
    here.recover()
    tallies = here.finish()
    return tallies, wait_counted(here, tallies)


def check_refused(here):
    """A client of the agent is told to come back, in words that help. Its frame is large: a small one may find room."""
    status, headers, text = post(here.agent.port, frame_bytes("extra", 1, {"faults.extra": [1.0] * 100_000}))
    assert status == 503
    assert float(headers["Retry-After"]) > 0
    assert "send this again" in text


def test_when_the_disk_is_full_clients_keep_theirs(tmp_path):
    """Nothing is lost: the agent answers 503 while its disk has no room, and goes on when the servers are back."""
    with small_disk(tmp_path / "disk", "4m") as disk, world(tmp_path, spool=disk / "spool") as here:
        away(here)
        here.add_clients(3, **LOAD)
        here.say("go")
        wait_for_trouble(here.agent, "disk is full")
        check_refused(here)
        time.sleep(1)
        here.say("pause")
        tallies, answer = finished(here)
        check_ledger(answer, tallies)
        check_exact(here, tallies)
        assert trouble(here.agent) is None


@pytest.mark.slow
def test_when_the_spool_is_full_clients_keep_theirs(tmp_path):
    """The same for the spool's own bound, which it does not exceed."""
    with world(tmp_path, agent_flags=["--spool-mb", "2"]) as here:
        away(here)
        here.add_clients(3, **LOAD)
        here.say("go")
        wait_for_trouble(here.agent, "agent.spool_mb")
        check_refused(here)
        assert here.agent.spool_bytes() < 2.2 * (1 << 20)
        here.say("pause")
        tallies, answer = finished(here)
        check_ledger(answer, tallies)
        check_exact(here, tallies)


@pytest.mark.parametrize(
    "restart", [pytest.param(False, id="running"), pytest.param(True, id="killed", marks=pytest.mark.slow)]
)
def test_what_is_dropped_for_want_of_room_is_counted_by_client_and_tab(tmp_path, restart):
    """With drop_oldest: of each tab what was folded and what was dropped is what was recorded; also over a kill -9."""
    with world(tmp_path, agent_flags=["--spool-mb", "2", "--full", "drop_oldest"]) as here:
        away(here)
        here.add_clients(3, **LOAD)
        here.say("go")
        await_(lambda: drops(here.agent) > 0, "something is dropped", more=here.agent.status)
        if restart:
            here.agent.kill()
            here.agent.start()
            here.agent.wait_ready()
        await_(lambda: drops(here.agent) > 100_000, "much is dropped", more=here.agent.status)
        assert here.agent.spool_bytes() < 2.5 * (1 << 20)
        here.say("pause")
        tallies, answer = finished(here)
        check_ledger(answer, tallies, dropped=None)
        for name in tallies:
            assert set(answer["ledger"][name]["dropped"]) == {"spool_full"}
        check_by_tab(here, tallies)
        check_fleet(here.servers[0])


def test_a_frame_that_was_counted_does_not_hide_others_that_were_dropped(tmp_path):
    """A client repeats a frame to an agent that was restarted and does not know it any more, and it is dropped together
    with new ones for want of room: these are counted as dropped, and nothing stays in flight."""
    began = time.time()

    def numbered(client, sequence, size):
        told = {"began": began, "recorded": sequence * size}
        return frame_bytes(client, sequence, {f"faults.{client}": [1.0] * size}, **told)

    with world(tmp_path, agent_flags=["--spool-mb", "8", "--full", "drop_oldest"]) as here:
        for sequence in (1, 2):
            assert post(here.agent.port, numbered("till", sequence, 10))[0] == 200
        await_(lambda: here.agent.status()["spool"]["waiting_bytes"] == 0, "the first frames are sent")
        here.agent.stop()
        away(here)
        here.agent.start()
        here.agent.wait_ready()
        fill = (numbered("filler", sequence, 50_000) for sequence in itertools.count(1))
        for _ in range(4):  # which the lanes take, and wait with
            assert post(here.agent.port, next(fill))[0] == 200
            time.sleep(0.6)
        for sequence in (2, 3, 4):
            assert post(here.agent.port, numbered("till", sequence, 10))[0] == 200
        fill_until(here, fill, lambda: drops(here.agent) > 500_000)
        fill_until(here, itertools.repeat(numbered("till", 5, 10)), lambda: True)
        here.recover()
        await_(lambda: here.agent.status()["spool"]["waiting_bytes"] == 0, "all is sent", more=here.agent.status)
        row = here.servers[0].asked("/v1/ledger", client="till")["ledger"]["till"]
        assert row["recorded"] == 50
        assert row["in_flight"] == 0, row
        assert row["folded"] + sum(row["dropped"].values()) == 50, row


def fill_until(here, frames, condition):
    """Post frames, each until it is taken, until the condition holds."""
    for body in frames:
        await_(lambda body=body: post(here.agent.port, body)[0] == 200, "a frame is taken", more=here.agent.status)
        if condition():
            return


def drops(agent):
    return agent.status()["counts"].get("drops{cause=spool_full}", 0)


def check_by_tab(here, tallies):
    """By client and name of tab, folded and dropped together are what was recorded."""
    found = projections(here.servers[0])
    lost = dropped(here.servers[1], "spool_full")
    for name, one in tallies.items():
        both = by_name({tab: count for tab, (count, _) in figures(found[name]).items()})
        for (client, tab), count in lost.items():
            if client == name and tab in both:
                both[tab] += count
        assert both == by_name({tab: one.counts[tab] for tab in TABS}), name


def by_name(counts):
    """Counts of tabs, those of one name together."""
    found: Counter[str] = Counter()
    for tab, count in counts.items():
        found[names.split(tab)[0]] += count
    return found


def dropped(server, reason):
    """Events that were dropped for a reason, by client and name of tab."""
    tabs = server.asked("/v1/projections", tab=f"taba.client.dropped{{reason={reason}}}", window="1d")["tabs"]
    return {
        (client, names.split(tab)[1]["tab"]): windows["1d"]["total"]
        for tab, clients in tabs.items()
        for client, windows in clients.items()
    }


def test_a_spool_that_becomes_read_only_refuses_and_recovers(tmp_path):
    """The disk takes no new files for a while, as after an error of the file system: 503 that says so, then all is
    well again without a restart."""
    (tmp_path / "spool").mkdir()
    with world(tmp_path, agent_flags=["--spool-mb", "8"]) as here:
        here.add_clients(3, **LOAD)
        here.say("go")
        await_(lambda: here.agent.status()["counts"].get("frames{way=in}", 0) > 3, "frames come")
        with read_only(here.agent.spool):
            wait_for_trouble(here.agent, "read-only")
            check_refused(here)
        await_(lambda: trouble(here.agent) is None, "the agent takes frames again", more=here.agent.status)
        here.say("pause")
        tallies, answer = finished(here)
        check_ledger(answer, tallies)
        check_exact(here, tallies)


def test_damaged_bytes_lose_their_frame_alone(tmp_path):
    """A frame in the middle of a segment is damaged and the end is torn, while the agent is down: it starts, keeps a
    copy of the bad bytes, counts what is lost, and everything else arrives."""
    with world(tmp_path) as here:
        away(here)
        here.add_clients(3, rate=2000)
        here.say("go")
        await_(lambda: here.agent.status()["spool"]["waiting_bytes"] > 200_000, "a spool", more=here.agent.status)
        tallies = here.finish()
        here.agent.kill()
        header, bad = damage(here.agent.spool, clients=set(tallies))
        here.agent.start()
        here.agent.wait_ready()
        here.recover()
        answer = wait_counted(here, tallies)
        check_ledger(answer, tallies, dropped=None)
        lost = {header.client: {"spool_corrupt": header.events()}}
        assert {name: row["dropped"] for name, row in answer["ledger"].items() if row["dropped"]} == lost
        wrong = differences(here.servers[0], {name: one for name, one in tallies.items() if name != header.client})
        assert wrong == {}
        check_all_but(here, tallies[header.client], header)
        aside = list((here.agent.spool / "aside").iterdir())
        assert any(bad in path.read_bytes() for path in aside), aside
        assert here.agent.status()["spool"]["aside_bytes"] >= len(bad)


def check_all_but(here, tallies, header):
    """Of a client all is counted but the numbers of one frame."""
    found = projections(here.servers[0])[tallies.client]
    lost = dict(zip(header.names, header.counts, strict=True))
    kept = {tab: count - lost.get(tab, 0) for tab, (count, _) in recorded(tallies).items()}
    assert {tab: found[tab]["count"] for tab in kept} == kept


def damage(spool, clients):
    """Flip bytes of a frame of one of the clients (not the agent's own, whose account nobody waits for) in the middle,
    and tear the last one; the frame's header, and its bytes as they are now.

    What is torn is a copy of a frame that is there whole as well, as the rest of a write that nobody was answered for.
    """
    segment = max(spool.glob(SEGMENTS), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    at, seen, middle = 0, set(), None
    for text, values in frame.split(bytes(data)):
        header, size = frame.parse_header(text), frame.PREFIX.size + len(text) + len(values)
        if middle is None and at > len(data) // 2 and header.client in seen & clients and header.counts:
            middle = (header, at, at + size)
        seen.add(header.client)
        at += size
    assert middle is not None
    header, start, stop = middle
    torn = data[start : (start + stop) // 2]
    for position in range((start + stop) // 2, (start + stop) // 2 + 8):
        data[position] ^= 0xFF
    segment.write_bytes(data + torn)
    return header, bytes(data[start:stop])


def test_two_agents_cannot_have_one_spool(tmp_path):
    """The second one refuses to start, in words that say why and what to do; the first goes on."""
    with world(tmp_path) as here:
        second = here.add(second_agent(here, here.agent.spool))
        second.start()
        assert second.ended() == 1
        assert "in use by the process" in second.said()
        assert str(here.agent.pid) in second.said()
        assert "--spool" in second.said()
        assert here.agent.get("/ping")[0] == 200


def second_agent(here, spool):
    return Agent("second", here.folder, spool, [link.url for link in here.links])


@pytest.mark.parametrize(
    "together", [pytest.param(True, id="copied"), pytest.param(False, id="restored", marks=pytest.mark.slow)]
)
def test_a_copied_spool_counts_nothing_twice_and_is_noticed(tmp_path, together):
    """Two agents on copies of a spool, at once or one after the other: numbers stay exact, and the ledger warns."""
    with world(tmp_path) as here:
        away(here)
        here.add_clients(3, rate=1000)
        here.say("go")
        await_(lambda: here.agent.status()["spool"]["waiting_bytes"] > 50_000, "a spool", more=here.agent.status)
        here.agent.kill()
        copy = tmp_path / "copy"
        shutil.copytree(here.agent.spool, copy)
        here.recover()
        second = here.add(second_agent(here, copy))
        if together:
            second.start()
            second.wait_ready()
        tallies = here.finish()
        wait_counted(here, tallies)
        name = here.agent.status()["agent"]["client"]
        if not together:
            here.agent.stop()
            second.start()
            second.wait_ready()
        await_(lambda: second.status()["spool"]["waiting_bytes"] == 0, "the copy is sent", more=second.status)
        await_(lambda: name in warnings(here), "a warning", more=lambda: here.servers[0].asked("/v1/ledger"))
        check_ledger(wait_counted(here, tallies), tallies)
        check_exact(here, tallies)


def warnings(here):
    return "\n".join(here.servers[1].asked("/v1/ledger")["warnings"])
