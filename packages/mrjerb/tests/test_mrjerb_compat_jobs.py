"""Jobs on compat's MRJob, run from code: options, files, counters, commands, streams, and what is refused by name."""

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest

from mrjerb import JobError, UnsupportedError, UsageError
from mrjerb.compat import (
    JSONValueProtocol,
    MRJob,
    MRStep,
    RawProtocol,
    RawValueProtocol,
    SparkStep,
    StepFailedException,
    jobconf_from_env,
)


class Words(MRJob):
    """How often each word is there, if it is there often enough."""

    FILES = ["compat_jobs.py"]

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--least", type=int, default=1, help="rarer ones are left out")
        self.add_file_arg("--stop")
        self.pass_arg_through("--runner")

    def load_args(self, args):
        super().load_args(args)
        self.least = self.options.least

    def mapper_init(self):
        self.stop = Path(self.options.stop).read_text().split() if self.options.stop else []
        assert Path("compat_jobs.py").exists() or not self.is_task()

    def mapper(self, _, line):
        self.increment_counter("words, all", "seen", len(line.split()))
        for word in line.split():
            if word not in self.stop:
                yield word, 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        found = sum(counts)
        if found >= self.least:
            yield word, found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to be in, with a text, and a history of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MRJOB_CONF", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("a b a\nc a b\n")
    return tmp_path


def output(kind, *args, stdin=b""):
    """The keys and values that a job gives, and its runner's counters."""
    job = kind(args=["--no-conf", "-q", *args]).sandbox(stdin=io.BytesIO(stdin))
    with job.make_runner() as runner:
        runner.run()
        return list(job.parse_output(runner.cat_output())), runner.counters()


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_arguments_files_and_counters(runner, folder):
    """A job's own arguments and files reach its tasks, relative ones too; counters are those of steps and groups."""
    (folder / "stop").write_text("c")
    found, counters = output(Words, "-r", runner, "--least", "2", "--stop", "stop", "text")
    assert sorted(found) == [("a", 3), ("b", 2)]
    assert counters == [{"words; all": {"seen": 6}}]
    assert Path.cwd() == folder
    assert not [name for name in os.environ if name.startswith("mapreduce_")]


def test_standard_input_and_the_sandbox(folder):
    """Without inputs, or with `-`, a job reads its standard input; `run_job` writes to the sandbox's output."""
    assert output(Words, stdin=b"x x\n")[0] == [("x", 2)]
    assert output(Words, "-", stdin=b"x x\n")[0] == [("x", 2)]
    job = Words(args=["--no-conf", "text"]).sandbox()
    job.run_job()
    assert job.stdout.getvalue() == b'"a"\t3\n"b"\t2\n"c"\t1\n'
    assert b"seen=6" in job.stderr.getvalue()


def test_an_output_folder(folder, capsysbinary):
    """`-o` leaves parts in a folder and prints nothing, unless that is asked; a folder that is there is left alone."""
    args = ["--no-conf", "-q", "-o", "out", "text"]
    Words(args=args).execute()
    assert capsysbinary.readouterr().out == b""
    assert sorted(path.name for path in (folder / "out").glob("part-*")) == ["part-00000"]
    with pytest.raises(UsageError, match="out"):
        Words(args=args).execute()
    Words(args=[*args[:-2], "other", "--cat-output", "text"]).execute()
    assert capsysbinary.readouterr().out == (folder / "out" / "part-00000").read_bytes()


def test_parts_by_themselves(folder):
    """`--mapper`, `--combiner` and `--reducer` run one part of a job on lines, as one does by hand."""
    lines = b'"a"\t1\n"a"\t1\n"b"\t1\n'
    job = Words(args=["--reducer"]).sandbox(stdin=io.BytesIO(lines))
    job.execute()
    assert job.stdout.getvalue() == b'"a"\t2\n"b"\t1\n'
    job = Words(args=["--combiner", "--step-num=0"]).sandbox(stdin=io.BytesIO(lines))
    job.execute()
    assert job.stdout.getvalue() == b'"a"\t2\n"b"\t1\n'
    job = Words(args=[]).sandbox(stdin=io.BytesIO(lines))
    job.run_reducer()
    assert job.stdout.getvalue() == b'"a"\t2\n"b"\t1\n'
    job = Unnamed(args=["--mapper"]).sandbox(stdin=io.BytesIO(b"a b\n"))
    job.execute()
    assert job.stdout.getvalue() == b"b\ta\n"
    with pytest.raises(ValueError, match="No reducer"):
        Unnamed(args=["--reducer"]).sandbox().execute()


class Unnamed(MRJob):
    """A mapper that turns two words round, between protocols of its own."""

    OUTPUT_PROTOCOL = RawProtocol

    def mapper(self, _, line):
        yield tuple(reversed(line.split()))


class Piped(MRJob):
    """Commands and pre-filters in all places."""

    def steps(self):
        return [
            MRStep(mapper_cmd="tr a-z A-Z", reducer_cmd="uniq -c"),
            MRStep(mapper_pre_filter="grep -v B | tr -d ' '", mapper=self.line),
            MRStep(reducer_pre_filter="grep -v X", reducer=self.count),
        ]

    def pick_protocols(self, step_num, step_type):
        read, write = super().pick_protocols(step_num, step_type)
        return (RawValueProtocol().read if (step_num, step_type) == (1, "mapper") else read), write

    def line(self, _, line):
        yield line[-1], line

    def count(self, key, values):
        yield key, sorted(values)


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_commands_and_filters(runner, folder):
    """Commands take and give lines, sorted where they reduce; filters stand before mappers and reducers."""
    (folder / "lines").write_text("x\nc\na\nb\na\n")
    found, _ = output(Piped, "-r", runner, "-D", "mapreduce.job.reduces=1", "lines")
    assert found == [("A", ["2A"]), ("C", ["1C"])]


class Failing(MRJob):
    """A job that fails at one line."""

    def mapper(self, _, line):
        if line == "bad":
            raise KeyError("what I know nothing of")
        yield line, 1


def test_a_failure_is_the_jobs_own(folder):
    """Inline, `run` raises what the job has raised; elsewhere StepFailedException, with its line and trace."""
    (folder / "lines").write_text("good\nbad\n")
    with pytest.raises(KeyError) as raised:
        output(Failing, "lines")
    assert any("lines:2" in note for note in raised.value.__notes__)
    with pytest.raises(StepFailedException, match="lines:2") as failed:
        output(Failing, "-r", "local", "lines")
    assert "what I know nothing of" in str(failed.value)


class Environment(MRJob):
    """What a task sees."""

    JOBCONF = {"my.own.setting": "one", "mapred.reduce.tasks": 1}
    OUTPUT_PROTOCOL = JSONValueProtocol

    def mapper(self, _, line):
        names = ("my.own.setting", "mapreduce.job.reduces", "map.input.file")
        seen = [jobconf_from_env(name) for name in names]
        yield None, [*seen, *(os.environ.get(name) for name in ("mapred_reduce_tasks", "map_input_file", "MINE"))]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_the_environment_of_tasks(runner, folder):
    """Properties and the input's name are in the environment by their old and new names, and --cmdenv's too."""
    (folder / "lines").write_text("x\n")
    found, _ = output(Environment, "-r", runner, "-D", "my.own.setting=two", "--cmdenv", "MINE=3", "lines")
    path = f"file://{folder}/lines"
    assert found == [(None, ["two", "1", path, "1", path, "3"])]


class Asking(MRJob):
    """A job that asks what only Hadoop tells."""

    def mapper(self, _, line):
        yield jobconf_from_env("mapred.task.partition"), 1


def test_what_only_hadoop_tells_is_no_silent_nothing(folder):
    """A property that Hadoop has and others have not is an error by name, where mrjob would have given one."""
    with pytest.raises(UnsupportedError, match=r"mapred\.task\.partition"):
        output(Asking, "text")


class Packed(MRJob):
    """A job with modules, an archive and a folder beside its tasks."""

    def mapper(self, _, line):
        import packed_module

        yield packed_module.NAME, [Path("data/inside").read_text(), Path("notes/one").read_text()]


def test_modules_archives_and_folders(folder):
    """--py-files can be imported, --archives are unpacked, --dirs are there, by the names behind a #."""
    with zipfile.ZipFile(folder / "modules.zip", "w") as archive:
        archive.writestr("packed_module.py", "NAME = 'from the zip'")
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        archive.writestr("inside", "unpacked")
    (folder / "folder").mkdir()
    (folder / "folder" / "one").write_text("a note")
    (folder / "lines").write_text("x\n")
    flags = ["--py-files", "modules.zip", "--archives", "data.zip#data", "--dirs", "folder#notes"]
    assert output(Packed, *flags, "lines")[0] == [("from the zip", ["unpacked", "a note"])]
    assert not any("mrjerb-task" in path for path in sys.path)
    with pytest.raises(JobError, match="no such file"):
        output(Words, "--files", "nowhere", "text")


def test_mrjob_conf(folder):
    """Options of a mrjob.conf hold for their runner, the command line goes over them, and unknown ones are said."""
    conf = folder / "mrjob.conf"
    conf.write_text("runners:\n  inline:\n    jobconf: {my.own.setting: conf}\n    cmdenv: {MINE: conf}\n")
    (folder / "lines").write_text("x\n")

    def seen(*args):
        with Environment(args=["-q", "-c", str(conf), *args, "lines"]).make_runner() as runner:
            runner.run()
            return b"".join(runner.cat_output())

    assert b'"one"' not in seen()
    assert b'"conf"]' in seen()
    assert b'["two"' in seen("-D", "my.own.setting=two")
    conf.write_text("runners: {inline: {bootstrap: [x]}}")
    with pytest.raises(UnsupportedError, match="bootstrap is not supported"):
        seen()
    with pytest.raises(UsageError, match="no such file"):
        output(Words, "-c", "nowhere", "text")


class Combining(MRJob):
    def mapper(self, _, line):
        yield line, 1

    def combiner(self, key, values):
        yield key, sum(values)


class OldStyle(Words):
    def configure_options(self):
        pass


class Sparking(MRJob):
    def spark(self, input_path, output_path):
        pass


class Stepping(MRJob):
    def steps(self):
        return [MRStep(mapper=lambda _, line: [(line, 1)]), SparkStep(spark=lambda one, two: None)]


class Configured(MRJob):
    def steps(self):
        same = MRStep(mapper=lambda key, value: [(key, value)])
        return [same, MRStep(reducer=lambda key, values: [], jobconf={"mapreduce.job.reduces": 1})]


class Shelled(MRJob):
    def mapper_pre_filter(self):
        return "grep x > y"

    def mapper(self, _, line):
        yield line, 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Combining, "combiner without a reducer is not supported"),
        (OldStyle, "OldStyle.configure_options is not supported: write configure_args"),
        (Sparking, "step 1: SparkStep is not supported"),
        (Stepping, "step 2: SparkStep is not supported"),
        (Configured, r"step 2: MRStep\(jobconf={'mapreduce.job.reduces': 1}\) is not supported"),
        (Shelled, "needs a shell for '>'"),
        (MRJob, "has no steps"),
    ],
)
def test_what_a_job_cannot_have_is_said_when_it_is_loaded(kind, said, folder):
    """A job that asks for what is not there is refused by its name, before any input is looked at."""
    with pytest.raises((UnsupportedError, JobError), match=said):
        kind(args=["--no-conf", "no-such-input"]).make_runner()


@pytest.mark.parametrize(
    "words",
    [
        *(["-r", "emr"], ["-r", "dataproc"], ["--setup", "make"], ["--bootstrap=x"], ["--step-output-dir", "x"]),
        *(["--no-docker"], ["--max-output-files", "3"], ["--hadoop-args", "x"], ["--python-bin", "python2"]),
    ],
)
def test_what_a_command_line_cannot_have_is_said(words):
    """Each switch of mrjob's is honoured, or refused by its name."""
    with pytest.raises(UnsupportedError, match=f"{words[0].partition('=')[0]}.* is not supported"):
        Words(args=words)


def test_all_switches_of_mrjob_are_known():
    """No switch of mrjob's command line is an unknown word here."""
    import mrjob.job

    theirs = {flag for action in mrjob.job.MRJob(args=[]).arg_parser._actions for flag in action.option_strings}
    ours = {flag for action in MRJob(args=[]).arg_parser._actions for flag in action.option_strings}
    assert theirs - ours == set()


class Formatted(Words):
    HADOOP_OUTPUT_FORMAT = "nicknack.MultipleValueOutputFormat"
    PARTITIONER = "org.example.Partitioner"
    JOBCONF = {"mapreduce.map.output.compress": True}


def test_what_is_left_aside_is_said(folder):
    """What mrjob ignores outside of Hadoop is ignored here too, and each by its name."""
    job = Formatted(args=["--no-conf", "--spark-master", "yarn", "text"]).sandbox()
    with job.make_runner() as runner:
        runner.run()
    said = job.stderr.getvalue().decode()
    for name in (
        "HADOOP_OUTPUT_FORMAT nick",
        "PARTITIONER org",
        "jobconf mapreduce.map.output.compress",
        "--spark-master",
    ):
        assert name in said


def test_words_that_are_no_jobs(capsys):
    """From code, words that argparse does not know raise ValueError, as with mrjob."""
    with pytest.raises(ValueError, match="--nonsense"):
        Words(args=["--nonsense"])
    with pytest.raises(ValueError, match="KEY=VALUE"):
        Words(args=["-D", "x"])
    with pytest.raises(SystemExit):
        Words(args=["--help"])
    assert "--least" in capsys.readouterr().out


def test_steps_as_mrjob_has_them():
    """An MRStep knows what it is given, what can't go together, and what mrjob gives in the place of nothing."""
    step = MRStep(reducer_init=print)
    assert list(step["reducer"](1, [2, 3])) == [(1, 2), (1, 3)]
    assert list(step["mapper"](1, 2)) == [(1, 2)]
    assert step == MRStep(reducer_init=print, mapper=None)
    with pytest.raises(TypeError, match="reduceer"):
        MRStep(reduceer=print)
    with pytest.raises(ValueError, match="mapper_cmd"):
        MRStep(mapper_cmd="cat", mapper=print)
    assert MRJob(args=[]).mr(mapper=print) == MRStep(mapper=print)
