"""What goes through Hadoop's shuffle, and what the command and its tasks say: pure parts, without a Hadoop."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb.engines.hadoop import client as client_module
from mrjerb.engines.hadoop.command import Command, found_command
from mrjerb.engines.hadoop.reports import (
    FAILED,
    Failure,
    by_task,
    failure_line,
    found_failure,
    place_of,
    read_place,
)
from mrjerb.engines.hadoop.said import Said
from mrjerb.engines.hadoop.wire import MOST, PREFIX, chunks, pickled, prefix, record
from mrjerb.engines.local.processes import Janitor
from mrjerb.errors import EngineError, RecordError, UsageError
from mrjerb.keys import composite, encode

any_text = st.text() | st.sampled_from(["\ud800", "\n\r\x85\u2028\0"])


def java_hash(data):
    """`WritableComparator.hashBytes`, in 32 bits."""
    found = 1
    for byte in data:
        found = (31 * found + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    return found & 0x7FFFFFFF


@given(st.data(), st.integers(1, MOST))
def test_a_prefix_chooses_its_partition(data, partitions):
    """Hadoop's BinaryPartitioner sends a key where its prefix says, for any number of reducers."""
    partition = data.draw(st.integers(0, partitions - 1))
    found = prefix(partition, partitions)
    assert len(found) == PREFIX
    assert java_hash(found) % partitions == partition


def test_too_many_partitions():
    """More reducers than prefixes can tell apart are refused, not sent anywhere."""
    with pytest.raises(UsageError, match=f"takes {MOST}"):
        prefix(0, MOST + 1)


@given(st.lists(st.tuples(st.text(), st.lists(st.binary(), min_size=1))), st.booleans())
def test_records_are_read_back(pairs, ordered):
    """Whatever bytes keys and values have; a record without a pair is passed over; values of one key come together."""
    pairs = sorted(pairs, key=lambda pair: encode(pair[0]))
    written = [record(prefix(0, 1), b"")]
    for key, values in pairs:
        for at, value in enumerate(values):
            sorting = composite(key, at) if ordered else encode(key)
            written.append(record(prefix(0, 1) + sorting, pickled([value])))
    found = list(chunks(io.BytesIO(b"".join(written)), ordered=ordered, prefixed=PREFIX))
    flat = [(key, value) for key, values in found for value in values]
    assert flat == [(encode(key), value) for key, values in pairs for value in values]
    assert len(found) == len({key for key, _ in pairs})


def test_records_that_are_broken_off():
    """A pair that ends too early is an error, not a shorter value."""
    whole = record(prefix(0, 1) + encode("a"), pickled(["value"]))
    with pytest.raises(EngineError, match="broken off"):
        list(chunks(io.BytesIO(whole[:-1]), ordered=False, prefixed=PREFIX))


@given(any_text, any_text, any_text)
def test_failures_travel_on_one_line(where, summary, trace):
    """Whatever an error says, with line ends and signs of any kind: it is found again behind a logger's own words."""
    line = failure_line(RecordError(where, summary, trace))
    assert line.isascii()
    assert "\n" not in line
    failure = found_failure(f"INFO stderr: {line}\r\n")
    assert failure is not None
    error = failure.error("job")
    assert isinstance(error, RecordError)
    assert (error.where, error.summary, error.trace, error.job) == (where, summary, trace, "job")


def test_a_failure_within_a_log():
    """The line of a failure is found in a log; one that was cut is none."""
    line = "2026-11-28 INFO stderr " + FAILED + '{"kind":"RecordError","summary":"s","where":"a:1","trace":"t"}'
    assert found_failure(line) == Failure("RecordError", "s", "a:1", "t")
    assert found_failure(line[:-3]) is None
    assert found_failure("nothing of ours") is None


@given(st.integers(0, 2**19 - 1), st.integers(0, 2**44 - 1))
def test_places_are_numbers_that_sort(at, start):
    """A place among the inputs and a byte in it fit Java's long, and come back."""
    assert place_of(at, start) < 2**63
    assert read_place(place_of(at, start)) == (at, start)


SAID = """\
26/11/28 20:00:00 INFO impl.YarnClientImpl: Submitted application application_17_0001
26/11/28 20:00:00 INFO mapreduce.Job: The url to track the job: http://host:8088/proxy/application_17_0001/
26/11/28 20:00:00 INFO mapreduce.Job: Running job: job_17_0001
26/11/28 20:00:10 INFO mapreduce.Job:  map 50% reduce 0%
26/11/28 20:00:11 INFO mapreduce.Job: Task Id : attempt_17_0001_m_000000_0, Status : FAILED
26/11/28 20:00:12 INFO mapred.Task: Final Counters for attempt_17_0001_m_000000_1: Counters: 1
	mrjerb
		lines=7
26/11/28 20:00:20 INFO mapreduce.Job: Counters: 3
	File System Counters
		FILE: Number of bytes read=1
	mrjerb
		lines%2C all=20
		a=b=-3
	mrjerb.task
		1/0/pairs=5
26/11/28 20:00:21 INFO streaming.StreamJob: Output directory: out
"""


def test_what_the_command_says():
    """Ids, progress, failed attempts, and the whole job's counters; not those that a task was told of alone."""
    said = Said()
    assert [said.line(line) for line in SAID.splitlines()].count(True) == 1
    assert (said.job, said.application, said.map, said.reduce) == ("job_17_0001", "application_17_0001", 50, 0)
    assert said.failed_attempts == ["attempt_17_0001_m_000000_0"]
    assert said.job_counters() == {"lines, all": 20, "a=b": -3}
    assert by_task(said.counters["mrjerb.task"]) == {(1, 0): {"pairs": 5}}


def test_where_the_command_is_looked_for(tmp_path):
    """No `hadoop`, one without a streaming jar, one that was named and isn't there: each says what to do."""
    with pytest.raises(UsageError, match="install Hadoop's client, set HADOOP_HOME"):
        found_command({}, {"PATH": str(tmp_path)})
    with pytest.raises(UsageError, match="no such program"):
        found_command({"mrjerb.hadoop": str(tmp_path / "hadoop")}, {})
    command = tmp_path / "home" / "bin" / "hadoop"
    command.parent.mkdir(parents=True)
    command.touch(0o755)
    with pytest.raises(UsageError, match=r"mrjerb\.streaming\.jar"):
        found_command({}, {"HADOOP_HOME": str(tmp_path / "home")})
    jar = tmp_path / "home" / "share" / "hadoop" / "tools" / "lib" / "hadoop-streaming-3.4.2.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    found = found_command({}, {"PATH": str(command.parent)})
    assert (found.path, found.jar) == (str(command), str(jar))


def test_logs_that_are_gathered_late(tmp_path, monkeypatch):
    """YARN has a task's error some time after the job's end: it is asked for again, and told as if it was there."""
    monkeypatch.setattr(client_module, "LOG_PAUSE", 0.01)
    line = FAILED + '{"kind":"RecordError","summary":"s","where":"a:1","trace":"t"}'
    program = tmp_path / "hadoop"
    program.write_text(
        f"""#!{sys.executable}
import pathlib, sys
if "logs" not in sys.argv[1].lower():
    print("INFO impl.YarnClientImpl: Submitted application application_1700000000000_0003", flush=True)
    sys.exit(1)
asked = pathlib.Path({str(tmp_path / "asked")!r})
asked.touch()
asked.write_text(asked.read_text() + "x")
if len(asked.read_text()) < 3:
    sys.exit(255)
print({line!r})
"""
    )
    program.chmod(0o755)
    janitor = Janitor([])
    try:
        client = client_module.Client(Command(str(program), "streaming.jar"), str(tmp_path), janitor, "job")
        with pytest.raises(RecordError, match="a:1: s"):
            client.run(["jar"], Said(), lambda: None)
    finally:
        janitor.close()
