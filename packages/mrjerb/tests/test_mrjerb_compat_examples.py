"""mrjob's own published example jobs: unmodified under compat, and written anew in fewer lines, with mrjob's output."""

import json
from pathlib import Path

import pytest
from mrjob_runs import (
    ANEW,
    EXAMPLES,
    Example,
    by_compat,
    by_mrjob,
    inputs_of,
    lines_of_code,
    published,
    run,
    written_anew,
)

NAMES = [example.name for example in EXAMPLES]


@pytest.fixture(scope="module", params=EXAMPLES, ids=NAMES)
def done(request, tmp_path_factory) -> tuple[Example, list[str], Path, bytes]:
    """An example, its inputs, a folder, and what mrjob itself makes of it: once for all tests."""
    folder = tmp_path_factory.mktemp(request.param.name)
    inputs = inputs_of(request.param.inputs, folder)
    return request.param, inputs, folder, by_mrjob(request.param, inputs, folder)


def test_the_same_bytes_with_one_reducer(done):
    """An example's file as mrjob publishes it, run by compat in one process, gives mrjob's output byte for byte."""
    example, inputs, folder, expected = done
    found = by_compat(example, inputs, folder, runner="inline")
    if example.name == "mr_log_sampler":  # which shuffles its lines
        found, expected = (b"".join(sorted(one.splitlines(keepends=True))) for one in (found, expected))
    assert expected
    assert found == expected


def test_the_same_lines_on_all_cores(done):
    """With several workers and reducers the lines are the same; of their order, mrjob promises nothing there."""
    example, inputs, folder, expected = done
    found = by_compat(
        example, inputs, folder, runner="local", args=("--num-cores", "2", "-D", "mapreduce.job.reduces=3")
    )
    assert_same_lines(example, found, expected)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(one, id=one.name, marks=() if one.name == "mr_most_used_word" else pytest.mark.slow)
        for one in EXAMPLES
    ],
)
def test_the_same_lines_on_spark(example, tmp_path):
    """On Spark, with the job's files, modules and arguments sent to its executors, the lines are mrjob's."""
    inputs = inputs_of(example.inputs, tmp_path)
    expected = by_mrjob(example, inputs, tmp_path)
    found = by_compat(example, inputs, tmp_path, runner="spark", args=("--spark-master", "local[2]"))
    assert_same_lines(example, found, expected)


def assert_same_lines(example: Example, found: bytes, expected: bytes) -> None:
    """The lines are the same in any order; those of numbers that were added up in another order, nearly."""
    if example.name == "mr_text_classifier":  # which fills dicts in the order of values, too
        assert values_of(found) == values_of(expected)
    else:
        assert sorted(found.splitlines()) == sorted(expected.splitlines())


def values_of(output: bytes) -> dict[str, object]:
    """The values of lines of JSON by their keys, numbers to nine digits."""
    pairs = (line.split("\t") for line in output.decode().splitlines())
    return {key: json.loads(value, parse_float=lambda number: f"{float(number):.9g}") for key, value in pairs}


def test_written_anew_it_is_shorter_and_the_same(done):
    """An example written as a job of mrjerb's has fewer lines of code than mrjob's, and the same lines of output."""
    example, inputs, folder, expected = done
    if example.anew is None:
        return
    assert_same_lines(example, written_anew(example, inputs, folder), expected)
    assert lines_of_code(ANEW / f"{example.anew}.py") < lines_of_code(published() / f"{example.name}.py")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mr_jar_step_example", "step 1: JarStep is not supported"),
        ("mr_spark_wordcount", "step 1: SparkStep is not supported"),
        ("mr_spark_most_used_word", "step 1: SparkStep is not supported"),
        ("mr_spark_wordcount_script", "step 1: SparkScriptStep is not supported"),
        ("mr_sparkaboom", "step 1: SparkStep is not supported"),
    ],
)
def test_what_is_not_supported_is_said_by_name(name, said, tmp_path):
    """The examples with steps of jars and of Spark are refused before anything runs, and by the step's name."""
    (tmp_path / "in.txt").write_text("a\n")
    done = run(["-m", "mrjerb.compat", str(published() / f"{name}.py"), str(tmp_path / "in.txt")], tmp_path, code=2)
    assert said in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_a_job_that_fails_shows_its_own_line(runner, tmp_path):
    """mr_boom, which always fails, ends with 1 and its own traceback, without mrjerb's frames."""
    (tmp_path / "in.txt").write_text("a\n")
    words = ["-m", "mrjerb.compat", str(published() / "mr_boom.py"), "-r", runner, str(tmp_path / "in.txt")]
    said = run(words, tmp_path, code=1).stderr.decode()
    assert "BOOM" in said
    assert "mr_boom.py" in said
    assert "mrjerb/compat" not in said


def test_the_other_example_counts_by_task(tmp_path):
    """mr_count_lines_wrong, which shows that `mapper_final` runs for each mapper, has a number for each task."""
    example = Example("mr_count_lines_wrong", None)
    inputs = inputs_of("text", tmp_path)
    found = by_compat(example, inputs, tmp_path, runner="inline")
    assert found == b"null\t400\nnull\t130\n"


def test_all_examples_are_seen():
    """No example of mrjob's is forgotten."""
    seen = {*NAMES, "mr_boom", "mr_count_lines_wrong", "__init__", "spark_wordcount_script"}
    seen |= {"mr_jar_step_example", "mr_spark_wordcount", "mr_spark_most_used_word", "mr_spark_wordcount_script"}
    assert {path.stem for path in published().glob("*.py")} == seen | {"mr_sparkaboom"}
