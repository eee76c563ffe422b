"""StatsD's door in an agent: sockets, what the kernel lost, lines in pieces, a port that is taken, its end."""

import contextlib
import signal
import socket
import subprocess
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest
from server_process import wait_until
from statsd_world import TABA, World, world

from taba.agent.counts import Counts
from taba.agent.doors.statsd.datagrams import Bulk, OneByOne
from taba.agent.doors.statsd.door import StatsD
from taba.agent.doors.statsd.names import LOCAL, client_at, client_of
from taba.agent.doors.statsd.sockets import Bound
from taba.agent.outlet import Heard
from taba.agent.writer import BusyError
from taba.dialects.statsd.addresses import Address, parse
from taba.settings import Agent as Settings


def _loads_numpy(world: World) -> bool:
    return "numpy" in Path(f"/proc/{world.agent.pid}/maps").read_text()


def test_an_idle_agent_is_small_and_one_that_ends_loses_nothing(tmp_path: Path) -> None:
    """What reads lines is loaded at the first packet. What was received before SIGTERM is counted."""
    with world(tmp_path) as there:
        assert not _loads_numpy(there)
        there.udp(b"first:1|c")
        there.wait_for({"first": {"count": 1}})
        assert _loads_numpy(there)
        assert there.status()["statsd"]["clients"] == 1
        there.udp(*[b"last:1|c"] * 500)
        assert there.end() == 0
        assert not there.unix.exists()
        assert there.answers()["last"]["count"] == 500


def test_what_the_kernel_throws_away_is_in_the_ledger(tmp_path: Path) -> None:
    """More comes than the kernel has room for while the agent stands still: received and lost are what was sent."""
    packets = 150_000
    with world(tmp_path) as there:
        there.udp(b"before:1|c")
        there.wait_for({"before": {"count": 1}})
        there.agent.send_signal(signal.SIGSTOP)
        with contextlib.ExitStack() as stack:
            stack.callback(there.agent.send_signal, signal.SIGCONT)
            there.udp(*[b"flood:1|c"] * packets)
        there.wait(lambda: there.counts()["lines"] + there.counts().get("drops{cause=kernel}", 0) == packets + 1)
        lost = there.counts()["drops{cause=kernel}"]
        assert lost > 0
        there.wait_for({"flood": {"count": packets - lost}})
        assert there.ledger()[LOCAL]["dropped"] == {"statsd_kernel": lost}


def test_lines_on_a_connection_come_in_any_pieces(tmp_path: Path) -> None:
    """A line may be cut anywhere, may lack its end at the end, and one that is too long harms none beside it."""
    lines = b"".join(b"pieces:%d|ms|#k:v\r\n" % number for number in range(1000))
    short = lines[: lines.index(b"\n", 600) + 1]
    with world(tmp_path) as there:
        for size in (1, 7, 4096):
            with socket.create_connection(("127.0.0.1", there.ports["tcp"])) as sender:
                sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                part = lines if size > 1 else short
                for at in range(0, len(part), size):
                    sender.sendall(part[at : at + size])
        with socket.create_connection(("127.0.0.1", there.ports["tcp"])) as sender:
            sender.sendall(b"one:1|c\n" + b"x" * 200_000 + b":1|c\ntwo:1|c\nthree:1|c")
        there.wait_for({name: {"count": 1} for name in ("one", "two", "three")})
        there.wait_for({"pieces{k=v}": {"count": 2000 + short.count(b"\n")}})
        assert there.ledger()[LOCAL]["dropped"] == {"statsd_unreadable": 1}


def test_bad_packets_harm_nothing_and_are_counted_by_reason(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.udp(b"good:1|c\n\xff\xfe:1|c\nno line\ngood:1|c:1\ngood:1|q\ngood:2|c\n\n", b"", b"\n", b"good:3|c")
        there.udp(b"\n".join(b"many.%d:1|c" % number for number in range(5000))[:60_000])
        there.wait_for({"good": {"count": 3, "total": 6}, "many.4000": {"count": 1}})
        dropped = there.ledger()[LOCAL]["dropped"]
        assert dropped["statsd_unreadable"] == 2
        assert dropped["statsd_type"] >= 1
        there.wait_for({"taba.agent.statsd.packets{way=udp}": {"total": 5}})


def _start(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [str(TABA), "agent", "--port", "0", "--json", "--spool", str(folder / "spool"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_an_address_that_was_asked_for_and_cannot_be_had_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        asked = f"udp://127.0.0.1:{other.getsockname()[1]}"
        refused = _start(tmp_path, "--statsd", asked)
        assert refused.returncode != 0
        assert f"cannot listen on {asked}: another program has it; name another in agent.statsd" in refused.stderr
    unreadable = _start(tmp_path, "--statsd", "http://127.0.0.1:8125")
    assert unreadable.returncode != 0
    assert "expected auto, off, udp://HOST:PORT" in unreadable.stderr


def test_an_address_that_other_machines_reach_is_refused_unless_all_is_to_be_open(tmp_path: Path) -> None:
    refused = _start(tmp_path, "--statsd", "udp://0.0.0.0:0")
    assert refused.returncode != 0
    assert "can be reached from other machines, and StatsD has no tokens" in refused.stderr
    with world(tmp_path, "--insecure", addresses=("udp://0.0.0.0:0", "udp://[::]:0")) as there:
        there.udp(*[b"from.here:1|c"] * 300)
        there.wait_for({"from.here": {"count": 300}})
        assert list(there.ledger()) == [LOCAL]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
@pytest.mark.parametrize("sizes", [(10, 0, 33), (10, 2046, 2047, 2048, 60_000)])
def test_datagrams_received_in_bulk_are_those_received_one_by_one(
    tmp_path: Path, family: int, sizes: tuple[int, ...]
) -> None:
    """Whatever their lengths, and whoever sent them, each is there whole with a newline behind it."""
    path = tmp_path / "socket"
    unix = family == socket.AF_UNIX
    found = []
    for kind in (Bulk, OneByOne):
        with socket.socket(family, socket.SOCK_DGRAM) as taking, socket.socket(family, socket.SOCK_DGRAM) as sender:
            path.unlink(missing_ok=True)
            taking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            taking.bind(str(path) if unix else ("127.0.0.1" if family == socket.AF_INET else "::1", 0))
            taking.setblocking(False)
            receiver = kind(Bound(Address("udp"), taking, unix))
            assert receiver.receive() is None
            for size in sizes:
                sender.sendto(b"x" * size, taking.getsockname())
            received = receiver.receive()
            assert received is not None
            assert received.lines == b"".join(b"x" * size + b"\n" for size in sizes)
            assert (received.count, received.cut, received.full) == (len(sizes), 0, False)
            found.append((received.peers, received.of is None or received.of.tolist()))
            if received.begins is not None:
                assert received.begins.tolist() == [sum(sizes[:at]) + at for at in range(len(sizes))]
    assert found[0] == found[1]
    packed = {socket.AF_INET: [socket.inet_aton("127.0.0.1")], socket.AF_INET6: [bytes(15) + b"\1"], socket.AF_UNIX: []}
    assert found[0][0] == packed[family]


def test_a_datagram_that_is_too_long_loses_its_last_line_alone(tmp_path: Path) -> None:
    """What is cut off could be another number: 12 of 123."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taking,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        taking.bind(str(tmp_path / "socket"))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender.sendto(b"a:1|c\n" * 10 + b"b:" + b"1" * 100_000 + b"|c", taking.getsockname())
        received = Bulk(Bound(Address("unixgram"), taking, True)).receive()
    assert received is not None
    assert (received.lines.split(), received.cut) == ([b"a:1|c"] * 10, 1)


def test_the_default_port_may_be_taken(tmp_path: Path) -> None:
    """An agent whose StatsD port another program has goes on without it, and says so once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:

        def bound() -> bool:
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", 8125))
                return True
            return False

        # An agent of another test may have it, and give it back before ours asks; what keeps it does as well as we do.
        with contextlib.suppress(AssertionError):
            wait_until(bound)
        command = [str(TABA), "agent", "--port", "0", "--json", "--spool", str(tmp_path / "spool")]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert agent.stdout is not None
        assert "url" in agent.stdout.readline()
        agent.terminate()
        _, told = agent.communicate(timeout=60)
        assert told.count("no StatsD: udp://127.0.0.1:8125 cannot be listened on: another program has it") == 1
        assert "Traceback" not in told


def test_who_sends_is_named_by_where_it_comes_from() -> None:
    assert client_of(socket.inet_aton("127.0.0.9")) == LOCAL
    assert client_of(socket.inet_aton("10.0.0.7")) == "statsd@10.0.0.7"
    assert client_of(socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.7")) == "statsd@10.0.0.7"
    assert client_of(socket.inet_pton(socket.AF_INET6, "fe80::1")) == "statsd@fe80::1"
    assert client_at(("fe80::1%eth0", 4)) == "statsd@fe80::1"
    assert client_at(None) == LOCAL


@pytest.mark.parametrize("written", ["udp://", "udp://h:99999", "udp://h/path", "unixgram://x", "8125", "", "off,auto"])
def test_what_is_no_address_is_told(written: str) -> None:
    with pytest.raises(ValueError, match=r"expected auto|stands alone"):
        parse(written.split(","))
    assert [str(one) for one in parse(["udp://[::1]:9", "tcp://h", "unixgram:///a/b"])] == [
        "udp://[::1]:9",
        "tcp://h:8125",
        "unixgram:///a/b",
    ]


def test_what_finds_no_room_in_the_spool_is_told_with_what_comes_next() -> None:
    """A spool that takes nothing costs events, and each of them is counted, by tab and reason."""
    identity = SimpleNamespace(epoch="1-a")
    agent = SimpleNamespace(settings=Settings(), identity=identity, counts=Counts(), told={})
    door = StatsD(agent, [])  # type: ignore[arg-type]
    sent: list[Heard] = []

    class Outlet:
        full = True

        def send(self, heard: list[Heard]) -> None:
            if self.full:
                raise BusyError("full")
            sent.extend(heard)

    outlet = Outlet()
    door._outlet = outlet  # type: ignore[assignment]
    for _ in range(2):
        door._send([Heard("c", 1.0, 1.25, ["a", "b"], ["counter", "gauge"], [2, 1], array("d", [1, 2, 3]))])
    outlet.full = False
    door._send([Heard("c", 1.5, 1.75)])
    assert sent[0].drops is not None
    told = zip(sent[0].drops.names, sent[0].drops.reasons, sent[0].drops.counts, strict=True)
    assert sorted(told) == [("a", "statsd_busy", 4), ("b", "statsd_busy", 2)]
    assert agent.counts.totals()["statsd.drops{cause=busy}"] == 6
