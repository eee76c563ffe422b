"""What a job may count on wherever it runs: each promise on each engine."""

from pathlib import Path

import pytest
from engine_runs import INLINE, run

from mrjerb import JobError, MrjerbError, RecordError

JOBS = Path(__file__).with_name("promise_jobs.py")


@pytest.fixture
def inputs(tmp_path):
    """Two files of lines."""
    for name, lines in (("one.txt", ["a", "b", "c"]), ("two.txt", ["b", "c", "d"])):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return [tmp_path / "one.txt", tmp_path / "two.txt"]


def ran(name, inputs, engine, **settings):
    """All lines of a job's output, and the result."""
    output = inputs[0].parent / "output"
    lines, result = run(f"{JOBS}:{name}", inputs, output, engine, output_format="repr", **settings)
    return [line for part in lines for line in part], result


def failed(name, inputs, engine, **settings):
    """The error of a job that fails, which leaves nothing."""
    before = sorted(inputs[0].parent.iterdir())
    with pytest.raises(MrjerbError) as caught:
        ran(name, inputs, engine, **settings)
    assert sorted(inputs[0].parent.iterdir()) == before
    return caught.value


def test_a_record_that_fails_is_named(engine, inputs):
    """The file, the line, the error, and the line of the job that raised it."""
    inputs[1].write_text("a\nb\nbad record\nd\n")
    error = failed("Fails", inputs, engine)
    assert isinstance(error, RecordError)
    assert error.where == f"{inputs[1]}:3"
    assert error.summary == "ValueError: no good: bad record"
    assert "promise_jobs.py" in error.trace
    assert "raise ValueError" in error.trace


def test_a_key_that_fails_is_named(engine, inputs):
    """A reduce that raises is told with its key."""
    inputs[1].write_text("a\nbad key\n")
    error = failed("Fails", inputs, engine)
    assert isinstance(error, RecordError)
    assert "'bad key'" in error.where
    assert error.summary == "ValueError: no good: bad key"


def test_bad_records_are_kept_aside(engine, inputs):
    """As many as allowed are tolerated: they yield nothing, not even what they yielded before they failed."""
    inputs[0].write_text("a\nbad record 1\nb\n")
    inputs[1].write_text("bad record 2\nbad key\nb\n")
    lines, result = ran("Fails", inputs, engine, skip_bad=3)
    assert sorted(lines) == ["'a'\t1", "'b'\t2"]
    where = {bad.where: bad.raw for bad in result.bad}
    assert where.pop(f"{inputs[0]}:2") == "bad record 1"
    assert where.pop(f"{inputs[1]}:1") == "bad record 2"
    assert "'bad key'" in "".join(where)
    assert len(result.bad) == 3


def test_one_bad_record_too_many(engine, inputs):
    """One more than allowed ends the run, though each split had fewer."""
    inputs[0].write_text("a\nbad record 1\nb\n")
    inputs[1].write_text("bad record 2\nb\n")
    assert isinstance(failed("Fails", inputs, engine, skip_bad=1), RecordError)


def test_a_record_knows_its_file(engine, inputs):
    """`self.path` is the record's input in map, and None in reduce."""
    lines, _ = ran("Paths", inputs, engine)
    assert sorted(lines) == [
        "'a'\t['one.txt', None]",
        "'b'\t['one.txt', 'two.txt', None]",
        "'c'\t['one.txt', 'two.txt', None]",
        "'d'\t['two.txt', None]",
    ]


def test_side_files_travel(engine, inputs, tmp_path):
    """The job's own files and the run's are there in every process, and setup comes before the first record."""
    (tmp_path / "more.txt").write_text("b c")
    lines, _ = ran("Side", inputs, engine, files=[str(tmp_path / "more.txt")])
    assert sorted(lines) == [
        "'a'\t[(True, False), 2]",
        "'b'\t[(True, True), (True, True), 2]",
        "'c'\t[(False, True), (False, True), 2]",
        "'d'\t[(False, False), 2]",
    ]


def test_a_side_file_that_is_none(engine, inputs):
    """The text says which there are."""
    assert "no side file 'nowhere.txt'" in str(failed("Unknown", inputs, engine))


def test_values_are_whatever_pickle_takes(engine, inputs):
    """Classes of the job's own file, sets, bytes, tabs and line ends come to the reduce as they were."""
    lines, _ = ran("Values", inputs[:1], engine)
    [line] = lines
    values = eval(line.split("\t", 1)[1])
    assert len(values) == 12
    assert repr("tab\tline\nend\r\0") in values
    assert "Decimal('0.10')" in values
    assert repr({"a": [1, {2}, b"\0\n\t\xff"], "b": None}) in values
    assert sum(value.startswith("Own(name='a', when=datetime.datetime(2013, 2, 16,") for value in values) == 1


def test_options_travel(engine, inputs):
    """An option has its type and value in every process."""
    options = {"since": "2013-02-16", "only": ["x", "y z"], "rate": "0.25"}
    lines, _ = ran("Options", inputs[:1], engine, options=options)
    assert lines == [f"{name!r}\t('2013-02-16', ['x', 'y z'], 0.25)" for name in "abc"]


def test_a_partitioner_by_name(engine, inputs, monkeypatch):
    """`module:function` decides which part a key is in."""
    monkeypatch.syspath_prepend(str(JOBS.parent))
    inputs[0].write_text("a\nbb\ncc\nddd\n")
    output = inputs[0].parent / "output"
    parts, _ = run(
        f"{JOBS}:Fails",
        inputs[:1],
        output,
        engine,
        output_format="repr",
        reducers=3,
        partitioner="promise_jobs:by_length",
    )
    assert parts == [["'ddd'\t1"], ["'a'\t1"], ["'bb'\t1", "'cc'\t1"]]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("key", "date can't be a key"),
        ("pair", "yield pairs"),
        ("value", "pickle"),
        ("negative", "-1, not from 0 to 1"),
        ("beyond", "2, not from 0 to 1"),
        ("text", "'1', not from 0 to 1"),
    ],
)
def test_what_a_job_gets_wrong(engine, inputs, what, said):
    """A key without order, no pair, a value that can't travel, a partition that is none: said in words."""
    if (engine, what) == (INLINE, "value"):
        pytest.skip("within one process nothing travels")
    error = failed("Wrong", inputs, engine, reducers=2, options={"what": what})
    assert isinstance(error, RecordError | JobError)
    assert said in str(error)


def test_a_failing_run_leaves_the_old_output(engine, inputs):
    """With overwrite, too: what was there is there until another output is whole."""
    ran("Paths", inputs, engine)
    output = inputs[0].parent / "output"
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    inputs[1].write_text("bad record\n")
    failed("Fails", inputs, engine, overwrite=True)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_no_inputs_at_all(engine, inputs):
    """Empty files are an empty output, with as many parts as asked for."""
    for path in inputs:
        path.write_text("")
    lines, result = ran("Paths", inputs, engine, reducers=2)
    assert (lines, len(result.parts), result.counters) == ([], 2, {})
