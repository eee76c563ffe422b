"""Settings become Spark's, or are refused by the flag's name; errors that Spark raises become words. Nothing runs."""

import pytest

from mrjerb.engines.spark import configuration
from mrjerb.engines.spark.combining import Combining
from mrjerb.engines.spark.failures import of_spark, of_task, told
from mrjerb.errors import InputError, RecordError, UnsupportedError, UsageError
from mrjerb.job import Step
from mrjerb.keys import encode
from mrjerb.plan import Settings
from mrjerb.running import Skipped

GIGABYTE = 1 << 30


def conf(**settings):
    return configuration.spark_conf(Settings(output="out", **settings), name="words", folder="/tmp/here")


def test_one_machine():
    """Without a word all cores of this machine are used, over loopback alone, with files in the run's own folder."""
    found = conf()
    assert "spark.master" not in found  # spark-submit's own: local[*], or what spark-defaults.conf says
    assert found["spark.driver.host"] == "127.0.0.1"
    assert found["spark.local.dir"] == "/tmp/here"
    assert conf(workers=3)["spark.master"] == "local[3]"
    assert conf(master="local[4]")["spark.master"] == "local[4]"


def test_memory_is_shared():
    """Half is the JVM's, with what it takes beside its heap, and half the Pythons'."""
    found = conf(memory=4 * GIGABYTE, workers=4)
    assert found["spark.driver.memory"] == "1792m"
    assert found["spark.python.worker.memory"] == "512m"


def test_settings_are_passed_through():
    """What is asked by --conf stands before what is decided here; lists are joined."""
    found = conf(
        master="spark://far:7077",
        jars=("a.jar", "b.jar"),
        python_env="env.tar.gz",
        conf={"spark.jars": "c.jar", "spark.ui.showConsoleProgress": "true", "spark.executor.memory": "3g"},
    )
    assert found["spark.jars"] == "c.jar,a.jar,b.jar"
    assert found["spark.archives"] == "env.tar.gz#mrjerb-environment"
    assert found["spark.ui.showConsoleProgress"] == "true"
    assert found["spark.executor.memory"] == "3g"
    assert "spark.local.dir" not in found
    assert "spark.driver.host" not in found


def test_defaults_of_a_file_are_heeded():
    """What spark-defaults.conf says of the master decides, unless a flag does."""
    defaults = configuration.parsed_defaults("# ours\nspark.master  spark://far:7077\nspark.x=1\n\nspark.y: 2 3\n")
    assert defaults == {"spark.master": "spark://far:7077", "spark.x": "1", "spark.y": "2 3"}
    settings = configuration.with_defaults(Settings(output="out"), defaults)
    assert configuration.master_of(settings) == "spark://far:7077"
    assert configuration.master_of(Settings(output="out", master="local", conf=defaults)) == "local"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"debug": True}, "--debug: pdb can't reach"),
        ({"memory": GIGABYTE}, "--memory: Spark needs 1536 MB at least"),
        ({"master": "yarn", "workers": 3}, r"--workers: .*spark.executor.instances"),
        ({"master": "yarn", "memory": 8 * GIGABYTE}, r"--memory: .*spark.executor.memory"),
        ({"master": "yarn", "tmp": "/scratch"}, r"--tmp: .*spark.local.dir"),
    ],
)
def test_what_is_refused(settings, said):
    """What Spark can't honour is an error that says what to give in its place."""
    with pytest.raises(UnsupportedError, match=said):
        configuration.check(Settings(output="out", **settings), running=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"conf": {"executor.memory": "1g"}}, "--conf executor.memory: Spark's settings begin with spark."),
        ({"archives": ("words.rar",)}, "--archive words.rar: Spark unpacks"),
        ({"master": "local[2]", "workers": 3}, r"--workers 3 and --master local\[2\]"),
    ],
)
def test_what_is_a_mistake(settings, said):
    """Mistakes are told before anything is started."""
    with pytest.raises(UsageError, match=said):
        configuration.check(Settings(output="out", **settings), running=False)


@pytest.mark.parametrize(("said", "megabytes"), [("512m", 512), ("2g", 2048), ("700", 700), ("1048576k", 1024)])
def test_sizes_of_spark(said, megabytes):
    """Sizes as Spark writes them."""
    assert configuration.megabytes(said) == megabytes


def test_an_error_of_a_record_comes_back_whole():
    """Whatever is in it: quotes, ends of lines, halves of surrogate pairs; among hundreds of lines of Java."""
    error = RecordError("in.txt:3", 'ValueError: "\ud800" } end\n\tat java', '  File "x.py", line 1\n    {"a": 1}')
    java = f"An error occurred\n: org.apache.spark.X: Traceback\n  File\n{told(error)}\n\tat org.apache.spark.Y\n" * 2
    found = of_task(Exception(java), lambda text: text, here=True)
    assert isinstance(found, RecordError)
    assert (found.where, found.summary, found.trace) == (error.where, error.summary, error.trace)


def test_an_input_that_executors_lack():
    """On a cluster it is said that executors read inputs, not this process."""
    found = of_task(Exception(str(told(InputError("a.txt: can't be read")))), lambda text: text, here=False)
    assert isinstance(found, InputError)
    assert "shared folders or URLs" in str(found)


def test_errors_of_spark_itself():
    """One line that says what to do, and where the rest is."""
    text = ': java.io.IOException: Cannot run program "/no/python": error=2\n\tat java.base/x\n\tat y'
    assert str(of_spark(Exception(text), "spark.log")) == (
        'Spark: the executors have no such Python: java.io.IOException: Cannot run program "/no/python": error=2; '
        "choose one with --python-env. Its log: spark.log"
    )
    quoted = 'Traceback (most recent call last):\n  File "x", line 1\n    boom\nKeyError: 3\n'
    assert (
        str(of_spark(Exception(f"An error occurred while calling x\n: org.Y: {quoted}"), "")) == "Spark: KeyError: 3."
    )


def sums(key, values):
    yield key, sum(values)


@pytest.mark.parametrize(("pairs", "memory"), [(10, 1 << 40), (5000, 1 << 40), (1 << 40, 0)])
def test_combining_in_bounds(pairs, memory):
    """However little is gathered at once, no pair is lost; what is gathered is combined before it is too much."""
    step = Step(map=lambda line: [], combine=sums, reduce=sums)
    combining = Combining(step, Skipped(0), memory=memory, pairs=pairs)
    found = {}
    groups = 0
    for key, values in combining.groups((encode(n % 70), 1) for n in range(20_000)):
        found[key] = found.get(key, 0) + sum(values)
        groups += 1
    assert found == {key: len(range(key, 20_000, 70)) for key in range(70)}
    assert groups <= 70 * 21
