"""A job is found in its file, by people's mistakes too, and found again in other processes."""

import os
import pickle
import subprocess
import sys

import msgspec
import pytest

from mrjerb.errors import JobError
from mrjerb.job import FunctionJob
from mrjerb.loading import job_of, load, source_of

ONE = """
import msgspec
from mrjerb import Job
from sentence_words import split

class Word(msgspec.Struct):
    text: str

class Count(Job):
    least: int = 1
    def map(self, line):
        for word in split(line):
            yield word, Word(word)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder; what is loaded from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "sentence_words.py").write_text("def split(line):\n    return line.split()\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_job_beside_its_modules(folder):
    """The one class of a file is the job; modules that lie beside it can be imported; options are typed."""
    job = load(written(folder, "counting.py", ONE)).make({"least": "3"})
    assert type(job).__name__ == "Count"
    assert job.least == 3


def test_functions_are_a_job(folder):
    """A module with a map is a job, named for its file."""
    job = load(written(folder, "plain.py", "def map(line):\n    yield line, 1\n")).make({})
    assert isinstance(job, FunctionJob)
    assert job.name == "plain"
    assert job_of(source_of(job)).name == "plain"


def test_several_jobs_are_told_apart(folder):
    """Where a file has several, one is named; else the error lists them. Imported and private classes don't count."""
    text = ONE + "\nclass Other(Count):\n    pass\n\nclass _Base(Job):\n    pass\n"
    path = written(folder, "several.py", text)
    with pytest.raises(JobError, match=r"several jobs: Count, Other; name one: .*several\.py:Count"):
        load(path)
    assert load(f"{path}:Other").name == "Other"
    with pytest.raises(JobError, match=r"Missing is no class.*Count, Other"):
        load(f"{path}:Missing")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "no job is in it"),
        ("def f(:\n    pass\n", r"broken\.py:1: .*\n    def f\(:"),
        ("import sentence_words\n\nvalue = sentence_words.missing\n", r"broken\.py:3: AttributeError"),
        ("import no_such_module\n", r"broken\.py:1: No module named 'no_such_module'; install it"),
        ("raise SystemExit\n", r"broken\.py:1: the file ends the program"),
        ("from mrjerb import Step\nstep = Step()\n", r"broken\.py:2: a step has neither"),
    ],
)
def test_what_is_wrong_in_a_file(folder, text, said):
    """An error in a job's file names file and line, with no line of ours in the traceback."""
    with pytest.raises(JobError, match=said) as error:
        load(written(folder, "broken.py", text))
    assert "importlib" not in str(error.value)
    assert "mrjerb/loading" not in str(error.value)


def test_a_file_that_is_not_there(folder):
    """Neither a file nor a module: said so."""
    with pytest.raises(JobError, match="no such file"):
        load(str(folder / "missing.py"))
    with pytest.raises(JobError, match="neither a file nor a module"):
        load("no.such.module")


def test_a_changed_file_is_loaded_again(folder):
    """In a process that lives on, such as a notebook, a file that was changed is a new job."""
    path = written(folder, "changing.py", "def map(line):\n    yield line, 1\n")
    first = load(path)
    assert load(path).module is first.module
    os.utime(written(folder, "changing.py", "def map(line):\n    yield line, 22\n"), ns=(1, 1))
    assert next(iter(load(path).module.map("a"))) == ("a", 22)


def test_a_name_of_the_standard_library(folder):
    """A job called `statistics.py` is a job, and does not stand in for that module."""
    code = load(written(folder, "statistics.py", "def map(line):\n    yield line, 1\n"))
    assert code.name == "statistics"
    import statistics

    assert statistics.mean([1, 2]) == 1.5


def test_two_files_of_one_name(folder):
    """Two files called alike, in two folders, are two modules."""
    (folder / "other").mkdir()
    first = load(written(folder, "same.py", "def map(line):\n    yield line, 1\n"))
    second = load(written(folder / "other", "same.py", "def map(line):\n    yield line, 2\n"))
    assert next(first.module.map("a"))[1] == 1
    assert next(second.module.map("a"))[1] == 2


@pytest.mark.parametrize("as_module", [False, True], ids=["file", "package"])
def test_another_process_finds_the_job_and_its_values(folder, monkeypatch, as_module):
    """A source, sent to a fresh process, gives the job with its options; values of its own classes come through."""
    monkeypatch.chdir(folder)
    if as_module:
        (folder / "corner_shop").mkdir()  # a name that no other test's module has in this process
        (folder / "corner_shop" / "__init__.py").touch()
        written(folder / "corner_shop", "jobs.py", ONE)
        job = load("corner_shop.jobs:Count").make({"least": 3})
    else:
        job = load(written(folder, "counting.py", ONE)).make({"least": 3})
    sent = pickle.dumps([msgspec.json.encode(source_of(job)), *job.map("a b")][1:])
    program = (
        "import sys, pickle, msgspec\n"
        "from mrjerb.loading import job_of\nfrom mrjerb.plan import Source\n"
        "job = job_of(msgspec.json.decode(sys.argv[1], type=Source))\n"
        "values = pickle.loads(sys.stdin.buffer.read())\n"
        "print(job.least, [value.text for _, value in values], type(values[0][1]) is type(next(job.map('x'))[1]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, msgspec.json.encode(source_of(job)).decode()],
        input=sent,
        capture_output=True,
        cwd="/",
    )
    assert found.stdout.decode() == "3 ['a', 'b'] True\n", found.stderr.decode()


def test_a_script_that_runs_its_own_job(folder):
    """A job of the script that is being run is found by other processes without running the script's main part."""
    path = written(
        folder,
        "script.py",
        ONE + "\nif __name__ == '__main__':\n    import sys, msgspec\n    from mrjerb.loading import source_of\n"
        "    sys.stdout.buffer.write(msgspec.json.encode(source_of(Count(least=2))))\n",
    )
    source = subprocess.run([sys.executable, path], capture_output=True, check=True).stdout
    program = (
        "import sys, msgspec, pickle\nfrom mrjerb.loading import job_of\nfrom mrjerb.plan import Source\n"
        "job = job_of(msgspec.json.decode(sys.argv[1], type=Source))\nprint(job.least, type(job).__name__)\n"
    )
    found = subprocess.run([sys.executable, "-c", program, source.decode()], capture_output=True, text=True)
    assert found.stdout == "2 Count\n", found.stderr


def test_a_job_that_only_this_process_knows():
    """A class made within a function has no source that another process could load."""
    from mrjerb import Job

    class Local(Job):
        def map(self, line):
            yield line, 1

    assert source_of(Local()) is None
