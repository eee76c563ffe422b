"""Options on Hadoop: each is really honoured, or refused by its name. A run that is ended leaves nothing."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import hadoop_home
import pytest
from hadoop_runs import left_over, parts_of, write_job
from test_mrjerb_hadoop_wire import java_hash

import mrjerb.runner
from mrjerb.errors import EngineError, JobError, UnsupportedError, UsageError
from mrjerb.keys import encode

COUNT = """
    def map(line):
        yield line, 1

    def reduce(word, counts):
        yield word, sum(counts)
"""
SLOW = """
    import os
    import time
    from pathlib import Path

    def map(line):
        Path("{marks}").joinpath(str(os.getpid())).touch()
        time.sleep(600)
        yield line, 1

    def reduce(word, counts):
        yield word, sum(counts)
"""


def own_partitioner(path, name):
    """A jar with a partitioner of a name that is nowhere else: Hadoop's own by hash, renamed."""
    own, renamed = b"HashPartitioner", name.encode()
    assert len(own) == len(renamed)
    jars = (hadoop_home.HOME / "classpath").read_text().strip().split(os.pathsep)
    core = next(jar for jar in jars if "mapreduce-client-core" in Path(jar).name)
    with zipfile.ZipFile(core) as archive:
        kept = archive.read("org/apache/hadoop/mapred/lib/HashPartitioner.class")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"org/apache/hadoop/mapred/lib/{name}.class", kept.replace(own, renamed))
    return f"org.apache.hadoop.mapred.lib.{name}"


def test_a_java_partitioner_of_a_jar(folder):
    """A class that only the jar of `--jars` has says which part a key is in; without the jar Hadoop can't find it."""
    Path("in.txt").write_text(
        "".join(f"{word}\n" for word in ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"])
    )
    job = write_job("count_words.py", COUNT)
    name = own_partitioner("own.jar", "GivnPartitioner")
    mrjerb.runner.run(
        job, "in.txt", "out", on="hadoop", reducers=3, partitioner=name, jars=["own.jar"], name="by hash", workers=2
    )
    words = ["brown", "dog", "fox", "jumps", "lazy", "over", "quick", "the"]
    for part, content in enumerate(parts_of("out").values()):
        inside = [word for word in words if java_hash(encode(word)) % 3 == part]
        assert content.decode() == "".join(f'"{word}"\t{2 if word == "the" else 1}\n' for word in inside)
    with pytest.raises(EngineError, match=f"class not found : {name}"):
        mrjerb.runner.run(job, "in.txt", "out2", on="hadoop", partitioner=name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"memory": "1GB"}, r"--memory .* mapreduce\.map\.memory\.mb"),
        ({"debug": True}, "--debug"),
        ({"master": "local[2]"}, "--master"),
        ({"conf": {"stream.map.output": "text"}}, r"--conf stream\.map\.output"),
    ],
)
def test_what_hadoop_can_not_do(folder, settings, said):
    """What can't be honoured is refused by its flag before anything is started."""
    Path("in.txt").write_text("a\n")
    with pytest.raises(UsageError, match=said):
        mrjerb.runner.run(write_job("count_words.py", COUNT), "in.txt", "out", on="hadoop", **settings)


def test_a_job_that_is_in_no_file(folder):
    """A job that only this process knows is refused: there is no file that could travel."""

    class Typed(mrjerb.Job):
        def map(self, line):
            yield line, 1

    Path("in.txt").write_text("a\n")
    with pytest.raises(UnsupportedError, match="put it into one"):
        mrjerb.runner.run(Typed, "in.txt", "out", on="hadoop")


@pytest.mark.slow
def test_a_python_without_what_is_needed(folder):
    """A tasks' Python that lacks msgspec is named, with what to do; the error is the task's own words."""
    Path("in.txt").write_text("a\n")
    Path("python").write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3 -S -E "$@"\n')
    Path("python").chmod(0o755)
    with pytest.raises(EngineError, match=r"can't import what mrjerb needs: No module named 'msgspec'.*--python-env"):
        mrjerb.runner.run(
            write_job("count_words.py", COUNT), "in.txt", "out", on="hadoop", python_env=str(Path("python").resolve())
        )


def test_no_hadoop(folder, monkeypatch):
    """Where there is no `hadoop`, the error says what to install or to set."""
    monkeypatch.delenv("HADOOP_HOME")
    monkeypatch.setenv("PATH", "/nowhere")
    Path("in.txt").write_text("a\n")
    with pytest.raises(UsageError, match="HADOOP_HOME"):
        mrjerb.runner.run(write_job("count_words.py", COUNT), "in.txt", "out", on="hadoop")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended(folder, number):
    """Ctrl-C, or a launcher that is killed: Hadoop and its tasks end, too; no output, no temporary files."""
    marks = folder / "marks"
    marks.mkdir()
    temporary = folder / "temporary"
    temporary.mkdir()
    Path("in.txt").write_text("a\n")
    job = write_job("slow.py", SLOW.format(marks=marks))
    command = [str(Path(sys.executable).parent / "mrjerb"), "run", job, "in.txt", "-o", "out", "--on", "hadoop"]
    run = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(marks.iterdir()))
    task = int(next(marks.iterdir()).name)
    run.send_signal(number)
    _, said = run.communicate(timeout=120)
    wait_for(lambda: not alive(task))
    wait_for(lambda: not list(temporary.glob("mrjerb-*")))
    assert not Path("out").exists()
    if number == signal.SIGINT:
        assert run.returncode == 130
        assert "nothing was published" in said
    wait_for(lambda: left_over() == [])


def wait_for(condition, seconds=200):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_partition_and_a_class(folder):
    """A job that says itself where keys go, and a Java class that would: one of them has to give way."""
    Path("in.txt").write_text("a\n")
    job = write_job("placed.py", COUNT + "\n    def partition(key, partitions):\n        return 0\n")
    with pytest.raises((UnsupportedError, JobError), match="partition of its own"):
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop", partitioner="org.example.Partitioner")
