"""The Spark engine as a command with a JVM of its own: what it says, how it ends, and that nothing is left of it."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pyspark
import pytest
from spark_processes import QUICK, are_gone, below, ran, started, until

FOLDER = Path(__file__).parent
JOBS, SLOW = FOLDER / "spark_jobs.py", FOLDER / "slow_job.py"
LINES = "".join(f"{letter} {number}\n" for number in range(40) for letter in "abcdefgh")


@pytest.fixture
def folder(tmp_path):
    """A folder with an input, and one for marks."""
    (tmp_path / "in.txt").write_text(LINES)
    (tmp_path / "marks").mkdir()
    return tmp_path


def slow(seconds):
    return [f"{SLOW}:Slow", "--marks", "marks", "--map-seconds", str(seconds)]


def left(folder):
    """What is in the folder beside its inputs, and what is in the folder for temporary files."""
    own = {"in.txt", "marks", "state", "tmp"}
    return sorted(path.name for path in folder.iterdir() if path.name not in own) + sorted(
        path.name for path in (folder / "tmp").iterdir() if not path.name.startswith("hsperfdata")
    )


def test_a_run_of_its_own(folder):
    """The output is right, Spark is silent, settings reach it, and no file or process is left."""
    arguments = ["run", f"{JOBS}:Words", "in.txt", "-o", "out", "--on", "spark", "--workers", "2", "--json", *QUICK]
    with started([*arguments, "--conf", "spark.sql.shuffle.partitions=7", "--no-progress"], folder) as process:
        pids = until(lambda: below(process.pid), "a JVM")
        written, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert said == ""
    result = json.loads(written)
    assert result["counters"] == {"lines": 320, "words": 48}
    assert result["details"]["master"] == "local[2]"
    assert (folder / "out" / "_SUCCESS").exists()
    assert left(folder) == ["out"]
    assert are_gone(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_ends_it_all(folder, number):
    """Ctrl-C in the middle of a map: the command says so, and leaves no output, no file, no JVM, no Python."""
    with started(
        ["run", *slow(0.2), "in.txt", "-o", "out", "--on", "spark", "--workers", "2", *QUICK], folder
    ) as process:
        until(lambda: any((folder / "marks").iterdir()), "the map")
        pids = below(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 128 + number
    assert "nothing was published" in said
    assert "Traceback" not in said
    assert left(folder) == []
    assert len(pids) > 3
    until(lambda: are_gone(pids), "their end")


def test_a_launcher_that_is_killed(folder):
    """kill -9 of the command: its JVM and Pythons end, its files are removed, and nothing was published."""
    with started(
        ["run", *slow(0.2), "in.txt", "-o", "out", "--on", "spark", "--workers", "2", *QUICK], folder
    ) as process:
        until(lambda: any((folder / "marks").iterdir()), "the map")
        pids = below(process.pid)
        process.kill()
        process.wait()
    assert len(pids) > 3
    until(lambda: are_gone(pids), "their end")
    assert left(folder) == []


@pytest.mark.slow
def test_a_failure_of_spark_tells_its_log(folder):
    """What Spark itself says goes to a file, which is named and kept where Spark is what failed."""
    wrong = ["--conf", "spark.local.dir=/dev/null/nowhere"]
    _, said = ran(["run", f"{JOBS}:Words", "in.txt", "-o", "out", "--on", "spark", *QUICK, *wrong], folder, code=1)
    assert said.startswith("error Spark: ")
    assert len(said.splitlines()) < 5
    log = Path(said.split("Its log: ")[1].split()[0].strip())
    assert log.parent == folder / "tmp"
    assert "Exception" in log.read_text()


def test_java_is_missing(folder):
    """Without Java it is said what to install, before anything is started."""
    command = ["run", f"{JOBS}:Words", "in.txt", "-o", "out", "--on", "spark"]
    _, said = ran(command, folder, code=2, JAVA_HOME="", PATH=str(folder))
    assert "Spark needs Java 17 or later, and no java is on the PATH" in said
    _, said = ran(command, folder, code=2, JAVA_HOME=str(folder))
    assert f"JAVA_HOME is {folder}, and no bin/java is in it" in said


@pytest.mark.slow
def test_an_environment_of_their_own(folder):
    """Executors start the Python of an environment's archive, and find what is in `--archive` by its name."""
    (folder / "env" / "bin").mkdir(parents=True)
    python = folder / "env" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nIN_ENVIRONMENT=yes exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / "data.txt").write_text("packed")
    with tarfile.open(folder / "env.tar.gz", "w:gz") as archive:
        archive.add(folder / "env", ".")
    with tarfile.open(folder / "more.tar.gz", "w:gz") as archive:
        archive.add(folder / "data.txt", "data.txt")
    (folder / "seeing.py").write_text(
        "import os\nfrom mrjerb import Job\n\nclass Seeing(Job):\n    def map(self, line):\n"
        "        yield os.environ.get('IN_ENVIRONMENT'), (self.file('more') / 'data.txt').read_text()\n\n"
        "    def reduce(self, key, values):\n        yield key, next(values)\n"
    )
    command = ["run", "seeing.py", "in.txt", "-o", "out", "--on", "spark", "--workers", "1", *QUICK]
    ran([*command, "--python-env", "env.tar.gz", "--archive", "more.tar.gz#more"], folder)
    assert (folder / "out" / "part-00000").read_text() == '"yes"\t"packed"\n'


@pytest.mark.slow
def test_within_spark_submit(folder):
    """`spark-submit` takes the file that the module names; the run is in its JVM, and what it has fixed is refused."""
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    named = [sys.executable, "-m", "mrjerb.engines.spark"]
    file = subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()
    command = [submit, "--master", "local[3]", "--conf", "spark.ui.enabled=false", file]
    command += ["run", f"{JOBS}:Words", "in.txt", "-o", "out", "--on", "spark", "--json"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    run = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 200}
    done = subprocess.run(command, **run)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["details"]["master"] == "local[3]"
    assert result["counters"] == {"lines": 320, "words": 48}
    done = subprocess.run([*command, "--memory", "4GB", "--overwrite"], **run)
    assert done.returncode == 2
    assert "--memory: Spark is running already" in done.stdout  # spark-submit puts both streams there
