"""This machine's own metrics: what is told is true, and what is missing does no harm."""

import time

import psutil
import pytest

import taba
from taba import host
from taba.client.recorder import Recorder


@pytest.fixture
def recorded(monkeypatch):
    """What the machine records, by tab."""
    recorder = Recorder()
    monkeypatch.setattr(recorder, "start", lambda **_: None)
    for kind in ("counter", "percentile", "gauge", "top"):
        monkeypatch.setattr(taba, kind, getattr(recorder, kind))

    def events() -> dict[str, list]:
        return {handle.tab: list(handle.events) for handle in recorder._registry.active()}

    return events


def test_a_second_of_this_machine(recorded):
    machine = host.Machine()
    machine.sample(100.0)
    enough = time.process_time() + 0.2
    while time.process_time() < enough:
        sum(range(1000))
    machine.sample(110.0)
    events = recorded()
    assert len(events["host.cpu.percent"]) == 2 * psutil.cpu_count()
    assert all(0 <= percent <= 100 for percent in events["host.cpu.percent"])
    assert all(0 < percent < 100 for percent in events["host.memory.used.percent"])
    assert events["host.disk.free.bytes{mount=/}"][0] > 0
    assert abs(events["host.processes"][0] - len(psutil.pids())) < 20
    own = psutil.Process().name()
    assert events["host.process.cpu"].count(own) >= 15, "a fifth of a second is twenty times 10 ms"
    assert 1 <= sum("host.process.memory" in tab for tab in events) <= 2 * host.LARGEST


def test_what_cannot_be_seen_is_left_out(recorded, monkeypatch):
    def fail(*_, **__):
        raise psutil.AccessDenied

    for name in ("disk_io_counters", "net_io_counters", "virtual_memory", "swap_memory", "disk_partitions"):
        monkeypatch.setattr(psutil, name, fail)
    monkeypatch.setattr(psutil.Process, "cpu_times", fail)
    machine = host.Machine()
    machine.sample(100.0)
    machine.sample(101.0)
    assert set(recorded()) >= {"host.cpu.percent", "host.load"}
    assert not any(tab.startswith(("host.memory", "host.disk", "host.net", "host.swap")) for tab in recorded())


def test_rates_are_what_was_added(recorded):
    rates = host.Rates()
    assert rates.changes(10.0, {"sda": {"read": 5}}) == []
    assert rates.changes(12.0, {"sda": {"read": 9}, "sdb": {"read": 7}}) == [("sda", {"read": 4, "seconds": 2.0})]
    assert rates.changes(13.0, {"sda": {"read": 1}, "sdb": {"read": 7}}) == [("sdb", {"read": 0, "seconds": 1.0})]
    assert rates.changes(14.0, {"sda": {"read": 2}}) == [("sda", {"read": 1, "seconds": 1.0})], "it began anew"


def test_parts_and_virtual_devices_are_no_disks():
    disks = [name for name in psutil.disk_io_counters(perdisk=True) or {} if host._is_whole_disk(name)]
    assert not any(name.startswith(("loop", "ram")) for name in disks)


def test_looking_at_processes_costs_little(recorded):
    """However many there are, the looks are spread so that they stay below their share of a core."""
    processes = host.Processes()
    processes.cpu(0.0)
    begin = time.thread_time()
    processes.cpu(1.0)
    cost = time.thread_time() - begin
    assert not processes.due(1.0 + host.LEAST_PROCESS_PERIOD - 0.01)
    assert processes.due(1.0 + max(host.LEAST_PROCESS_PERIOD, 3 * cost / host.PROCESS_SHARE))


def test_a_collector_that_was_never_started_stops_at_once():
    host.Collector().stop()
