"""The Spark engine in a context that is there already: it writes what the inline engine writes."""

import json
import random
import threading
import time

import pytest
from pyspark import SparkContext
from spark_plans import Heard, assert_same, inline, job_named, on_spark, plan_of
from spark_processes import until

from mrjerb import Job, RecordError
from mrjerb.engines import engine_named
from mrjerb.engines.spark import Spark, driver
from mrjerb.errors import InputError, UnsupportedError, UsageError
from mrjerb.plan import Outcome, Settings

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def text(tmp_path):
    """Two files of lines."""
    chance = random.Random(1)
    lines = [" ".join(f"w{chance.randint(0, 300)}" for _ in range(chance.randint(0, 9))) for _ in range(5000)]
    (tmp_path / "one.txt").write_text("\n".join(lines[:3000]) + "\n")
    (tmp_path / "two.txt").write_text("\n".join(lines[3000:]))
    return [tmp_path / "one.txt", tmp_path / "two.txt"]


def test_word_count_with_combine_and_counters(text, tmp_path):
    """The plain job: values of the job's own class, a module beside it, an option, counters, compressed output."""
    outcome = assert_same("Words", text, tmp_path, options={"least": 20}, split_size=9000, compression="gzip")
    assert outcome.counters["lines"] == 5000
    assert outcome.details["master"] == "local[2,2]"
    assert outcome.details["application"].startswith("local-")
    assert {report.stage for report in outcome.tasks} == {0, 1}
    assert sum(report.items for report in outcome.tasks if report.stage == 0) == 5000


def test_chained_steps_and_order(text, tmp_path):
    """Three shuffles: what a stage reports goes on with its output to the end."""
    outcome = assert_same("Letters", text, tmp_path, split_size=9000)
    assert len(outcome.parts) == 3
    assert [report.stage for report in outcome.tasks] == sorted(report.stage for report in outcome.tasks)
    assert max(report.stage for report in outcome.tasks) == 3


def test_typed_records_and_own_partition(tmp_path):
    """Records of a class, values by an order of the job's, a reduce that leaves values unread."""
    chance = random.Random(2)
    clicks = [{"user": "u" * chance.randint(1, 9), "at": at, "page": str(at)} for at in range(900)]
    (tmp_path / "clicks.ndjson").write_text("".join(json.dumps(click) + "\n" for click in clicks))
    outcome = assert_same("Visits", [tmp_path / "clicks.ndjson"], tmp_path, split_size=4000)
    assert outcome.groups[0].values == max(group.values for group in outcome.groups)
    assert {group.partition for group in outcome.groups} == {0, 1, 2}


def test_values_come_in_the_order_of_inputs(text, tmp_path):
    """Where nothing orders values, they come as they lie in the inputs, whichever task is fetched first."""
    assert_same("Arrivals", text, tmp_path, split_size=3000)


def test_map_only(text, tmp_path):
    """Without a shuffle there is a part for each split, in the order of the inputs."""
    outcome = assert_same("Longer", text, tmp_path, split_size=9000, reducers=None)
    assert len(outcome.parts) == len({part.of for part in outcome.parts}) > 3


def test_pairs_around_tasks(text, tmp_path):
    """What is yielded before and after a task's items, and its combine; the job is set up anew for each task."""
    assert_same("Around", text, tmp_path)


def test_no_input_at_all(tmp_path):
    """An empty file has no split: its reduce writes parts without pairs, and its map alone writes none."""
    (tmp_path / "empty.txt").touch()
    assert_same("Words", [tmp_path / "empty.txt"], tmp_path / "reduced")
    assert_same("Longer", [tmp_path / "empty.txt"], tmp_path / "mapped")


def test_skipped_records_are_the_same(tmp_path):
    """Bad records of a map and a bad group of a reduce: skipped, kept, and counted together."""
    (tmp_path / "in.txt").write_text("\n".join(str(n) if n % 50 else f"bad {n}" for n in range(1, 400)) + "\n")
    outcome = assert_same("Numbers", [tmp_path / "in.txt"], tmp_path, skip_bad=8, split_size=300)
    assert len(outcome.bad) == 8
    assert outcome.bad[0].where == f"{tmp_path}/in.txt:50"
    assert "unlucky" in outcome.bad[7].error
    assert outcome.bad[0].raw == "bad 50"


def test_what_the_output_cannot_hold(tmp_path):
    """A value that is no JSON fails at its group, and may be skipped as what fails in the job."""
    (tmp_path / "in.txt").write_text("1\n17\n2\n")
    job = job_named("Numbers", unwritable=17)
    parts, outcome = on_spark(job, [tmp_path / "in.txt"], tmp_path / "skipped", skip_bad=1)
    assert sorted(b"".join(parts).splitlines()) == [b"1\t1", b"2\t1"]
    assert [bad.where for bad in outcome.bad] == ["reduce 1, key 17"]
    with pytest.raises(RecordError, match=r"reduce 1, key 17: .*can't be written as json"):
        on_spark(job, [tmp_path / "in.txt"], tmp_path / "failed")


def test_one_bad_record_too_many(tmp_path):
    """No task alone has more bad records than may be, and all together have: the run fails, and says at which."""
    (tmp_path / "in.txt").write_text("\n".join(str(n) if n % 50 else f"bad {n}" for n in range(1, 400)) + "\n")
    with pytest.raises(RecordError) as failed:
        on_spark(job_named("Numbers"), [tmp_path / "in.txt"], tmp_path / "out", skip_bad=4, split_size=300)
    assert failed.value.where == f"{tmp_path}/in.txt:250"


def test_a_failing_record_is_named(tmp_path, monkeypatch):
    """The file as it was given, the line, what the job raised, and the job's own lines; nothing of Java's."""
    lines = [str(n) for n in range(3000)]
    lines[2024] = "oh no – é"
    (tmp_path / "in.txt").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError) as failed:
        on_spark(job_named("Numbers"), ["in.txt"], tmp_path / "out", split_size=2000)
    assert failed.value.where == "in.txt:2025"
    assert "ValueError: invalid literal for int()" in failed.value.summary
    assert "oh no – é" in failed.value.summary
    assert "yield int(line) % 20, 1" in failed.value.trace
    assert "pyspark" not in str(failed.value)
    assert "java" not in str(failed.value)
    assert len(str(failed.value).splitlines()) < 6


def test_a_failing_group_is_named(tmp_path):
    """A reduce that fails says the key."""
    (tmp_path / "in.txt").write_text("12\n13\n")
    with pytest.raises(RecordError) as failed:
        on_spark(job_named("Numbers"), [tmp_path / "in.txt"], tmp_path / "out")
    assert failed.value.where == "reduce 1, key 13"
    assert "LookupError: unlucky" in str(failed.value)


def test_a_task_that_is_repeated_counts_once(tmp_path):
    """Tasks of both stages fail once, after they counted and wrote: counters are exact, and nothing is left of them."""
    (tmp_path / "one.txt").write_text("x\n" * 50 + "map-fail\nreduce-fail\n" + "y\n" * 20)
    (tmp_path / "two.txt").write_text("x\n" * 50)
    (tmp_path / "marks").mkdir()
    job = job_named("Flaky", marks=str(tmp_path / "marks"))
    parts, outcome = on_spark(job, [tmp_path / "one.txt", tmp_path / "two.txt"], tmp_path / "out")
    assert sorted(b"".join(parts).splitlines()) == [b'"map-fail"\t1', b'"reduce-fail"\t1', b'"x"\t100', b'"y"\t20']
    assert outcome.counters == {"lines": 122, "groups": 4}
    assert outcome.retried == 2
    assert len(list((tmp_path / "marks").iterdir())) == 2


def test_what_executors_see(tmp_path, spark):
    """This Python, the side file, the input's path, the module from the bundle and not from here."""
    (tmp_path / "in.txt").write_text("line\n")
    (tmp_path / "side.txt").write_text("beside")
    parts, _ = on_spark(
        job_named("Where"), [tmp_path / "in.txt"], tmp_path / "out", files={"side.txt": str(tmp_path / "side.txt")}
    )
    seen = dict(json.loads(f"[{line}]".replace("\t", ",")) for line in parts[0].decode().splitlines())
    assert seen["python"] == spark.pythonExec
    assert seen["side"] == "beside"
    assert seen["path"] == "in.txt"
    assert "/code/spark_neighbour.py" in seen["module"]


def test_a_job_that_has_no_file(tmp_path):
    """A class made in a function, as in a notebook: it travels itself, with what it closes over."""
    more = 5

    class Local(Job):
        def map(self, line):
            yield len(line), more

        def reduce(self, key, values):
            yield key, sum(values)

    (tmp_path / "in.txt").write_text("a\nbb\na\n")
    Local.__module__ = "__main__"
    parts, _ = on_spark(Local(), [tmp_path / "in.txt"], tmp_path / "spark", source=False)
    assert parts == inline(Local(), [tmp_path / "in.txt"], tmp_path / "inline")[0]


def test_a_job_that_cannot_travel(tmp_path):
    """A job that holds what only this process has is refused in words, before anything runs."""

    class Holding(Job):
        def map(self, line):
            yield line, 1

    Holding.__module__ = "__main__"
    job = Holding()
    job.lock = threading.Lock()
    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(UsageError, match="can't be sent to the executors"):
        on_spark(job, [tmp_path / "in.txt"], tmp_path / "out", source=False)


def test_a_job_that_has_changed(tmp_path):
    """Executors live on from run to run, and still run the job as it is now."""
    (tmp_path / "in.txt").write_text("a\n")
    found = []
    for number in (1, 22):
        file = tmp_path / "changing.py"
        (tmp_path / "changing_beside.py").write_text(f"number = {number}\n")
        file.write_text(f"import changing_beside\n\ndef map(line):\n    yield {number}, changing_beside.number\n")
        from mrjerb.loading import load

        found.append(on_spark(load(str(file)).make({}), [tmp_path / "in.txt"], tmp_path / f"out{number}")[0])
    assert found == [[b"1\t1\n"], [b"22\t22\n"]]


def test_an_input_that_is_gone(tmp_path):
    """What executors can't read is the input's error, in its own words; which application it was stays known."""
    (tmp_path / "in.txt").write_text("a\n")
    plan = plan_of(job_named("Words"), [tmp_path / "in.txt"], tmp_path / "out")
    (tmp_path / "in.txt").unlink()
    with pytest.raises(InputError, match=r"in.txt: can't be read"):
        Spark().run(plan, Heard(), outcome := Outcome())
    assert outcome.details["application"]


def test_progress_is_heard(text, tmp_path, spark, monkeypatch):
    """Stages by their names, with their tasks; all of them are done at the end. Nothing of it is asked in the main
    thread, where a signal may come: Spark's client would tell of that with a traceback."""
    plan = plan_of(job_named("Words"), text, tmp_path / "out", split_size=9000)
    heard = Heard()
    tracker, tidy = spark.statusTracker(), driver._Run._tidy
    asked, status = set(), SparkContext.statusTracker

    def watched(context):
        asked.add(threading.current_thread())
        return status(context)

    monkeypatch.setattr(SparkContext, "statusTracker", watched)

    def completed():
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(plan.run)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in sorted(job.stageIds)]
        return [stage.numCompletedTasks for stage in stages if stage]

    def tidy_later(*arguments):
        until(lambda: completed() == [len(plan.splits), 3], "what Spark says of itself")  # it lags behind the tasks
        tidy(*arguments)

    monkeypatch.setattr(driver._Run, "_tidy", tidy_later)
    Spark().run(plan, heard, Outcome())
    assert heard.stages == [("map", len(plan.splits)), ("reduce 1", 3)]
    assert heard.done[-1] == (0, 3)
    assert asked
    assert threading.main_thread() not in asked


def test_a_run_that_is_interrupted_before_it_is_submitted(text, tmp_path, spark, monkeypatch):
    """In a context that is another's nothing of it begins any more: there is no job yet that could be cancelled."""
    del spark
    plan = plan_of(job_named("Words"), text, tmp_path / "out")
    collect, ended = driver._Run._collect, []

    def late(*arguments):
        try:
            time.sleep(2)
            return collect(*arguments)
        except Exception as error:
            ended.append(error)
            raise

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver._Run, "_collect", late)
    monkeypatch.setattr(driver._Run, "_progress_if_it_answers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Spark().run(plan, Heard(), Outcome())
    until(lambda: ended, "its end")
    assert "cancel" in str(ended[0]).lower()


def test_settings_that_are_fixed(tmp_path, spark):
    """In a context that runs already, what is decided when it starts is refused by the flag's name."""
    del spark
    (tmp_path / "in.txt").write_text("a\n")
    for name, value in {"master": "local[4]", "memory": 1 << 31, "workers": 3, "conf": {"spark.x": "1"}}.items():
        with pytest.raises(UnsupportedError, match=f"--{name}: Spark is running already"):
            on_spark(job_named("Words"), [tmp_path / "in.txt"], tmp_path / name, **{name: value})


def test_what_a_dry_run_says(spark):
    """Inside of a context, what is decided already."""
    said = engine_named("spark").defaults(Settings(output="out"))
    assert (said["master"], said["reducers"]) == ("local[2,2]", "2")
    assert said["application"] == spark.applicationId
