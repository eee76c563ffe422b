"""What goes through Hadoop's shuffle, and what the command and its tasks say: pure parts, without a Hadoop."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb.engines.hadoop import client as client_module
from mrjerb.engines.hadoop.command import Command, found_command
from mrjerb.engines.hadoop.delivery import read_back, written
from mrjerb.engines.hadoop.inputs import told_by_hadoop
from mrjerb.engines.hadoop.reports import FAILED, Failure, failure_line, found_failure
from mrjerb.engines.hadoop.said import Said
from mrjerb.engines.hadoop.sinks import Shuffle
from mrjerb.engines.hadoop.wire import MOST, PREFIX, REPORTS, chunks, pickled, prefix, record
from mrjerb.engines.local.processes import Janitor
from mrjerb.engines.reporting import Report
from mrjerb.errors import EngineError, RecordError, UsageError
from mrjerb.job import Step
from mrjerb.keys import composite, encode
from mrjerb.plan import BadRecord, PartFile, TaskReport

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
    records = [record(prefix(0, 1), b"")]
    for key, values in pairs:
        for at, value in enumerate(values):
            sorting = composite(key, at) if ordered else encode(key)
            records.append(record(prefix(0, 1) + sorting, pickled([value])))
    found = list(chunks(io.BytesIO(b"".join(records)), [], ordered=ordered, prefixed=PREFIX))
    flat = [(key, value) for key, values in found for value in values]
    assert flat == [(encode(key), value) for key, values in pairs for value in values]
    assert len(found) == len({key for key, _ in pairs})


def test_records_that_are_broken_off():
    """A pair that ends too early is an error, not a shorter value."""
    whole = record(prefix(0, 1) + encode("a"), pickled(["value"]))
    with pytest.raises(EngineError, match="broken off"):
        list(chunks(io.BytesIO(whole[:-1]), [], ordered=False, prefixed=PREFIX))


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


@given(st.lists(st.builds(BadRecord, any_text, any_text, any_text)), any_text)
def test_reports_travel(bad, name):
    """Through the shuffle, before all pairs, and in a file: whatever a bad record holds, or the name of a counter."""
    report = Report(
        TaskReport(1, "task 2", 0.5, 3, 4), {name: 2**70}, bad, [], part=PartFile("part-00002", 4, 0, (2, 0))
    )
    sent = io.BytesIO()
    shuffle = Shuffle(sent, Step(reduce=print), lambda key, partitions: 1, 2)
    shuffle.take([(prefix(1, 2) + encode("a"), pickled([1]))])
    shuffle.send([report])
    found: list[Report] = []
    assert list(chunks(io.BytesIO(sent.getvalue()), found, ordered=False, prefixed=PREFIX)) == [(encode("a"), [1])]
    assert min(REPORTS, encode("a")) == REPORTS
    assert found == [report]
    line = written([report, report])
    assert line.isascii()
    assert read_back([*line.splitlines(), written([])]) == [report, report]


SAID = """\
26/11/28 20:00:00 INFO impl.YarnClientImpl: Submitted application application_17_0001
26/11/28 20:00:00 INFO mapreduce.Job: The url to track the job: http://host:8088/proxy/application_17_0001/
26/11/28 20:00:00 INFO mapreduce.Job: Running job: job_17_0001
26/11/28 20:00:10 INFO mapreduce.Job:  map 50% reduce 0%
26/11/28 20:00:11 INFO mapreduce.Job: Task Id : attempt_17_0001_m_000000_0, Status : FAILED
26/11/28 20:00:21 INFO streaming.StreamJob: Output directory: out
"""


def test_what_the_command_says():
    """Ids, progress, and failed attempts."""
    said = Said()
    assert [said.line(line) for line in SAID.splitlines()].count(True) == 1
    assert (said.job, said.application, said.map, said.reduce) == ("job_17_0001", "application_17_0001", 50, 0)
    assert said.failed_attempts == ["attempt_17_0001_m_000000_0"]


def test_names_that_hadoop_tells():
    """A task finds its input by the name that Hadoop has for it: with a host, where the URL has none."""
    cluster = "hdfs://name:8020"
    assert told_by_hadoop("file:///data/a.txt", cluster) == "file:/data/a.txt"
    assert told_by_hadoop("hdfs:///data/a.txt", cluster) == "hdfs://name:8020/data/a.txt"
    assert told_by_hadoop("hdfs://other/data/a.txt", cluster) == "hdfs://other/data/a.txt"
    assert told_by_hadoop("s3a://bucket/a.txt", "file:///") == "s3a://bucket/a.txt"


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
