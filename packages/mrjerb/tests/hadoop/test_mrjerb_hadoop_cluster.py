"""On a real cluster: HDFS for inputs and outputs, YARN for the tasks, whose errors and retries come back from it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hadoop_cluster import cluster
from hadoop_runs import left_over, parts_of, write_job
from page_reader import ROOT, blocks, file_of, run
from test_mrjerb_hadoop_options import wait_for
from test_mrjerb_hadoop_parts import archive_of_python, bad_lines

import mrjerb.runner
from mrjerb.errors import OutputError, RecordError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PYTHON = sys.prefix
APPLICATIONS = "org.apache.hadoop.yarn.client.cli.ApplicationCLI"
UNLUCKY = """
    import os
    from mrjerb import Job


    class Unlucky(Job):
        def map(self, line):
            self.count("lines")
            if line == "b 3" and os.environ["mapreduce_task_attempt_id"].endswith("_0"):
                os.kill(os.getpid(), 9)
            yield line.split()[0], int(line.split()[1])

        def combine(self, key, numbers):
            yield key, sum(numbers)

        reduce = combine
"""
SLOW = """
    import time

    def map(line):
        time.sleep(3600)
        yield line, 1
"""


@pytest.fixture(scope="module")
def running(hadoop, tmp_path_factory):
    """A cluster for the tests of this file."""
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def clustered(running, folder, monkeypatch):
    """A folder where `hadoop` is the cluster's."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(running.settings))
    return running


def hadoop(*arguments):
    """What the command writes."""
    command = [f"{os.environ['HADOOP_HOME']}/bin/hadoop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_local_files_and_a_task_that_died(clustered):
    """Inputs of this machine are copied to the cluster, its output back. A task whose process was killed is run again:
    its counters count once. Nothing is left in HDFS."""
    Path("in.txt").write_text("".join(f"{'abc'[number % 3]} {number % 5}\n" for number in range(1000)))
    job = write_job("unlucky.py", UNLUCKY)
    here = mrjerb.runner.run(write_job("lucky.py", UNLUCKY.replace('"b 3"', "None")), "in.txt", "here", reducers=2)
    there = mrjerb.runner.run(job, "in.txt", "there", on="hadoop", reducers=2, python_env=PYTHON)
    assert parts_of("there") == parts_of("here")
    assert there.counters == here.counters == {"lines": 1000}
    assert there.details.details["applications"]
    assert "mrjerb-" not in hadoop("fs", "-ls", "/tmp")
    assert left_over() == []


def test_hdfs_to_hdfs(clustered):
    """A glob of HDFS is read where it lies, the output is published there by a rename; a second run is refused."""
    Path("in.txt").write_text("a 1\nb 2\na 3\n")
    hadoop("fs", "-mkdir", "-p", f"{clustered.hdfs}/data/in")
    hadoop("fs", "-put", "in.txt", f"{clustered.hdfs}/data/in/one.txt")
    job = write_job("sums.py", UNLUCKY.replace('"b 3"', "None"))
    settings = {"on": "hadoop", "python_env": PYTHON, "compression": "gzip"}
    there = mrjerb.runner.run(job, f"{clustered.hdfs}/data/in/*.txt", f"{clustered.hdfs}/data/out", **settings)
    assert hadoop("fs", "-text", f"{clustered.hdfs}/data/out/part-*") == '"a"\t4\n"b"\t2\n'
    assert list(there) == [("a", 4), ("b", 2)]
    names = sorted(line.rpartition("/")[2] for line in hadoop("fs", "-ls", "-C", "/data/out").splitlines())
    assert names == ["_SUCCESS", "_manifest.json", "part-00000.gz"]
    with pytest.raises(OutputError, match="--overwrite"):
        mrjerb.runner.run(job, f"{clustered.hdfs}/data/in/one.txt", f"{clustered.hdfs}/data/out", **settings)


def test_a_failing_record_on_the_cluster(clustered):
    """The error of a task, which only YARN's logs have, comes back with its line and the job's traceback."""
    Path("in.txt").write_text("a 1\nb two\n")
    job = write_job("failing.py", UNLUCKY)
    with pytest.raises(RecordError) as caught:
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop", python_env=PYTHON, conf={"mapreduce.map.maxattempts": "1"})
    assert caught.value.where == "in.txt:2"
    assert f'File "{Path(job).resolve()}", line' in caught.value.trace
    assert not Path("out").exists()


def test_rows_and_bad_records_of_an_environment(clustered):
    """Tasks put rows where only Hadoop can, as bytes that are those of here; one of them is run again after it has
    written some. Bad records and counters come back. The tasks' Python is in an archive that travels."""
    job, inputs = bad_lines()
    unlucky = 'os.environ["mapreduce_task_attempt_id"].endswith("_0") and name == "bad" and os.kill(os.getpid(), 9)'
    end = '        if name == "bad":'
    there_job = write_job("there.py", "import os\n" + Path(job).read_text().replace(end, f"        {unlucky}\n{end}"))
    assert "kill" in Path(there_job).read_text()
    here = mrjerb.runner.run(job, inputs, "here", output_format="csv", skip_bad=3, compression="zstd")
    archive_of_python("env.tar.gz")
    output = f"{clustered.hdfs}/rows"
    asked = {"output_format": "csv", "compression": "zstd", "skip_bad": 3, "python_env": "env.tar.gz"}
    there = mrjerb.runner.run(there_job, inputs, output, on="hadoop", reducers=len(here.parts), **asked)
    hadoop("fs", "-get", output, "there")
    assert parts_of("there") == parts_of("here")
    assert there.counters == here.counters
    assert sorted(there.bad, key=str) == sorted(here.bad, key=str)
    with pytest.raises(RecordError):
        mrjerb.runner.run(job, inputs, "out", on="hadoop", python_env=PYTHON, output_format="parquet", skip_bad=2)
    mrjerb.runner.run(job, inputs, "tables", on="hadoop", python_env=PYTHON, output_format="parquet", skip_bad=3)
    mrjerb.runner.run(job, inputs, "expected", debug=True, output_format="parquet", skip_bad=3)
    assert parts_of("tables") == parts_of("expected")
    assert "mrjerb-" not in hadoop("fs", "-ls", "/tmp")
    assert left_over() == []


def test_the_commands_of_the_page(clustered, monkeypatch, folder):
    """What the guide shows for a cluster does what it says, as it is printed."""
    monkeypatch.setenv("PATH", f"{os.environ['HADOOP_HOME']}/bin:{os.environ['PATH']}")
    page = blocks(ROOT / "docs" / "mrjerb-hadoop.md")
    for language, text in page:
        if language == "python" and (name := file_of(text)):
            Path(name).write_text(text)
    Path("zen.txt").write_text("Beautiful is better\nbetter than ugly\n")
    archive_of_python("env.tar.gz")
    [commands] = [text for language, text in page if language == "shell"]
    written = [line for line in run(commands, folder).splitlines() if line.startswith('"')]
    assert sorted(written) == ['"beautiful"\t1', '"better"\t2', '"is"\t1', '"than"\t1', '"ugly"\t1']


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_launcher_that_is_ended_ends_the_application(clustered, number):
    """Ctrl-C while a task runs: YARN has killed the application before the command ends. After kill -9 the janitor has
    it killed, and removes what lies in HDFS."""
    Path("in.txt").write_text("a\n")
    command = [f"{PYTHON}/bin/mrjerb", "run", write_job("slow.py", SLOW), "in.txt", "-o", "out", "--on", "hadoop"]
    launcher = subprocess.Popen([*command, "--python-env", PYTHON], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: "RUNNING" in hadoop(APPLICATIONS, "application", "-list", "-appStates", "RUNNING"), 600)
    launcher.send_signal(number)
    _, said = launcher.communicate(timeout=300)
    if number == signal.SIGINT:
        assert launcher.returncode == 130, said
        assert "application_" not in hadoop(APPLICATIONS, "application", "-list", "-appStates", "RUNNING,ACCEPTED")
    living = (APPLICATIONS, "application", "-list", "-appStates", "RUNNING,ACCEPTED")
    wait_for(lambda: "application_" not in hadoop(*living), 300)
    wait_for(lambda: "mrjerb-" not in hadoop("fs", "-ls", "/tmp"), 300)
    assert not Path("out").exists()
