"""On a real standalone cluster: code travels, the right Python runs, and a worker that is killed changes nothing."""

import json
import sys
import zipfile
from pathlib import Path

import pytest
from spark_cluster import HOME, cluster_of
from spark_processes import QUICK, are_gone, below, ran, started, until

FOLDER = Path(__file__).parent
JOBS, SLOW = FOLDER / "spark_jobs.py", FOLDER / "slow_job.py"
LETTERS = "abcdefghijklmnop"
LINES = "".join(f"{letter}{'x' * (number % 7)}\n" for number in range(100) for letter in LETTERS)
EXECUTORS = ["--conf", "spark.executor.memory=512m", "--conf", "spark.executor.extraJavaOptions=-XX:+UseSerialGC"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A master and two workers."""
    with cluster_of(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.txt").write_text(LINES)
    (tmp_path / "marks").mkdir()
    return tmp_path


def on_cluster(cluster, *arguments):
    told = ["--json", "--no-progress"]  # a run that takes long would tell of it among the few lines of an error
    return ["run", *arguments, "-o", "out", "--on", "spark", "--master", cluster.url, *told, *QUICK, *EXECUTORS]


def pairs(folder):
    lines = [line for part in sorted((folder / "out").glob("part-*")) for line in part.read_text().splitlines()]
    return dict(json.loads(f"[{line}]".replace("\t", ",")) for line in lines)


def test_code_and_python_travel(cluster, folder):
    """The module beside the job, the side file and this very Python, though another is first on the workers' PATH."""
    (folder / "side.txt").write_text("beside")
    written, _ = ran(on_cluster(cluster, f"{JOBS}:Where", "in.txt", "--files", "side.txt"), folder)
    seen = pairs(folder)
    assert seen["python"] == sys.executable
    assert seen["side"] == "beside"
    assert "/work-" in seen["module"]
    assert json.loads(written)["details"]["master"] == cluster.url
    assert json.loads(written)["details"]["application"].startswith("app-")


def test_an_environment_travels(cluster, folder):
    """The archive of an environment is unpacked where executors run, and its Python runs there."""
    import tarfile

    (folder / "env" / "bin").mkdir(parents=True)
    python = folder / "env" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nIN_ENVIRONMENT=yes exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with tarfile.open(folder / "env.tar.gz", "w:gz") as archive:
        archive.add(folder / "env", ".")
    (folder / "seeing.py").write_text(
        "import os\n\ndef map(line):\n    yield 'in', os.environ.get('IN_ENVIRONMENT')\n"
        "\ndef reduce(key, values):\n    yield key, next(values)\n"
    )
    ran(on_cluster(cluster, "seeing.py", "in.txt", "--python-env", "env.tar.gz"), folder)
    assert pairs(folder) == {"in": "yes"}


def own_codec(path):
    """A jar with a codec of a name that is nowhere else: Spark's own LZ4, renamed."""
    (core,) = HOME.glob("jars/spark-core_*.jar")
    with zipfile.ZipFile(core) as archive, zipfile.ZipFile(path, "w") as own:
        for name in archive.namelist():
            if name.startswith("org/apache/spark/io/LZ4CompressionCodec"):
                content = archive.read(name).replace(b"LZ4CompressionCodec", b"OwnCompressionCodec")
                own.writestr(name.replace("LZ4", "Own"), content)
    return "org.apache.spark.io.OwnCompressionCodec"


def test_jars_travel(cluster, folder):
    """A class that only the jar of `--jars` has compresses what the executors shuffle; without the jar it is missed."""
    setting = f"spark.io.compression.codec={own_codec(folder / 'own.jar')}"
    own = [f"{JOBS}:Words", "in.txt", "--conf", setting]
    ran(on_cluster(cluster, *own, "--jars", "own.jar"), folder)
    assert sum(pairs(folder).values()) == len(LINES.split())
    _, said = ran(on_cluster(cluster, *own, "--overwrite"), folder, code=1)
    assert "OwnCompressionCodec is not available" in said


def test_a_failing_record_is_named_once(cluster, folder):
    """A record that fails as often as Spark tries: the file, the line, the job's own lines, and no output."""
    (folder / "failing.py").write_text("def map(line):\n    yield line, 1 / (line != 'cxx')\n")
    _, said = ran(on_cluster(cluster, "failing.py", "in.txt"), folder, code=1)
    assert f"in.txt:{LINES.splitlines().index('cxx') + 1}: ZeroDivisionError: division by zero" in said
    assert f'File "{folder}/failing.py", line 2, in map' in said
    assert len(said.splitlines()) < 8
    assert not (folder / "out").exists()


@pytest.mark.parametrize("stage", ["map", "reduce"])
def test_a_worker_that_is_killed(cluster, folder, stage):
    """kill -9 of a worker and its executor in the middle of a stage: what was on it is made again, counted once."""
    seconds = {"map": ["--map-seconds", "0.02"], "reduce": ["--reduce-seconds", "1.5"]}[stage]
    own = [f"{SLOW}:Slow", "in.txt", "--marks", str(folder / "marks"), *seconds]
    own += ["--split-size", "500", "--reducers", "4"]
    with started(on_cluster(cluster, *own), folder) as process:
        until(lambda: len(list((folder / "marks").glob(f"{stage}-*"))) >= 2, f"the {stage} stage")
        killed = cluster.kill_worker(0)
        cluster.workers.pop(0)
        cluster.start_worker()
        pids = below(process.pid)
        written, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert killed
    assert pairs(folder) == {letter: sum(1 + number % 7 for number in range(100)) for letter in LETTERS}
    assert json.loads(written)["counters"] == {"lines": 1600, "letters": 16}
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "_SUCCESS", "_manifest.json", *(f"part-{number:05d}" for number in range(4))
    ]  # fmt: skip
    assert not list(folder.glob(".out*"))
    until(lambda: are_gone(pids), "the end of the driver's processes")


def test_what_a_cluster_decides(cluster, folder):
    """Flags for one machine are refused by name, and say what to give in their place."""
    for flag, value, instead in (
        ("--workers", "2", "spark.cores.max"),
        ("--memory", "2GB", "spark.executor.memory"),
        ("--tmp", "/tmp", "spark.local.dir"),
    ):
        _, said = ran(on_cluster(cluster, f"{JOBS}:Words", "in.txt", flag, value), folder, code=2)
        assert said.startswith(f"error {flag}: ")
        assert instead in said
