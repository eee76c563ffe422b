"""What jobs do wrong, and inputs that are not what they were: said in words, nothing published, nothing left."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launched import mrjerb, started, until
from worlds import world

__all__ = ["world"]

REDUCE = "\n\ndef reduce(key, values):\n    yield key, sum(values)\n"


def test_a_job_that_raises_at_record_one_million(world):
    """The path and the line, the generator's own line; nothing published. With --skip-bad 1 it goes on."""
    job = "def map(line):\n    yield int(line) % 3, 1"
    world.job(job + REDUCE)
    with (world.folder / "in.txt").open("w") as file:
        for number in range(1, 1_200_001):
            file.write("bad\n" if number == 1_000_000 else f"{number}\n")
    found = world.run("--workers", "2", code=1)
    assert found["error"]["where"] == "in.txt:1000000"
    assert found["error"]["message"] == "ValueError: invalid literal for int() with base 10: 'bad'"
    assert "in.txt:1000000: ValueError" in found["stderr"]
    assert f'File "{world.folder}/job.py", line 2, in map\n    yield int(line) % 3, 1' in found["stderr"]
    world.as_before()
    found = world.run("--workers", "2", "--skip-bad", "1")
    (bad,) = map(json.loads, Path(found["bad_file"]).read_text().splitlines())
    assert (bad["where"], bad["raw"]) == ("in.txt:1000000", "bad")
    assert sum(value for _, value in world.pairs()) == 1_199_999
    world.tidy()


def test_bad_records_of_several_workers_count_together(world):
    """N are tolerated, each kept; N + 1 are not, though no worker met more than N."""
    world.job("def map(line):\n    yield int(line), 1\n")
    for name in "abcd":
        world.lines(1, "bad", 2, "bad", 3, name=f"{name}.txt")
    inputs = [f"{name}.txt" for name in "abcd"]
    found = world.run("--workers", "2", "--skip-bad", "8", inputs=inputs)
    bad = [json.loads(line)["where"] for line in Path(found["bad_file"]).read_text().splitlines()]
    assert sorted(bad) == [f"{name}.txt:{line}" for name in "abcd" for line in (2, 4)]
    assert len(world.pairs()) == 12
    found = world.run("--workers", "2", "--skip-bad", "7", inputs=inputs, code=1, output="new")
    assert "invalid literal" in found["error"]["message"]
    assert not (world.folder / "new").exists()
    world.tidy()


FAILS = {
    "setup": ("def setup():\n    fail()\n\ndef map(line):\n    yield 1, 1", "setup", "ValueError: no"),
    "teardown": ("def teardown():\n    fail()\n\ndef map(line):\n    yield 1, 1", "teardown", "ValueError: no"),
    "combine": ("def map(line):\n    yield 'k', 1\n\ndef combine(k, v):\n    fail()" + REDUCE, "combine, key 'k'", ""),
    "reduce": ("def map(line):\n    yield 'k', 1\n\ndef reduce(k, v):\n    fail()", "reduce 1, key 'k'", ""),
    "order": ("def map(line):\n    yield 1, 1\n\ndef order(k, v):\n    fail()" + REDUCE, "in.txt:1", "ValueError: no"),
    "order's type": (
        "def map(line):\n    yield 1, 1\n\ndef order(k, v):\n    return object()" + REDUCE,
        "in.txt:1",
        "",
    ),
    "partition": (
        "def map(line):\n    yield 'k', 1\n\ndef partition(k, n):\n    return 5" + REDUCE,
        "",
        "key 'k' is 5",
    ),
    "a key": ("def map(line):\n    yield {1}, 1" + REDUCE, "in.txt:1", "set"),
    "a value": ("def map(line):\n    yield 1, (x for x in ())" + REDUCE, "", "generator"),
    "recursion": ("def map(line):\n    yield from map(line)", "in.txt:1", "RecursionError"),
    "memory": ("def map(line):\n    raise MemoryError", "in.txt:1", "MemoryError"),
    "an exit": ("def map(line):\n    raise SystemExit(3)", "in.txt:1", "SystemExit: 3"),
    "sys.exit": (
        "import sys\n\ndef map(line):\n    yield 1, 1\n\ndef reduce(k, v):\n    sys.exit()",
        "reduce 1, key 1",
        "",
    ),
    "Ctrl-C": ("def map(line):\n    raise KeyboardInterrupt", "", "KeyboardInterrupt"),
    "texts": ("def map(line):\n    yield 'abc'", "in.txt:1", "yield pairs (key, value)"),
    "numbers": ("def map(line):\n    return 7", "in.txt:1", "yield pairs (key, value)"),
    "json": ("def map(line):\n    yield 1, {1}", "in.txt:1", "set"),
}


@pytest.mark.parametrize("what", FAILS)
def test_what_fails_is_named(world, what):
    """Where, and what; exit code 1 or 2; the output is as it was."""
    job, where, said = FAILS[what]
    world.job("def fail():\n    raise ValueError('no')\n\n" + job)
    world.lines("a", "b")
    process = world.start("--workers", "1")
    out, err = process.communicate(timeout=100)
    error = json.loads(out)["error"]
    assert process.returncode == error["exit_code"]
    assert process.returncode in (1, 2)
    assert (error["where"] or error["message"]).startswith(where), error
    assert said in error["message"]
    assert "fault of mrjerb" not in err
    assert len(err) < 4000
    world.as_before()


def test_maps_that_yield_nothing(world):
    """None, an empty list, a generator that ends at once: no pairs, no error."""
    world.job("def map(line):\n    return {'a': None, 'b': [], 'c': iter(())}.get(line, [(line, 1)])\n")
    world.lines("a", "b", "c", "d")
    world.run()
    assert world.pairs() == [("d", 1)]


def test_what_a_job_prints(world):
    """A great deal of it goes to standard error, whole lines, all of them; standard output is the result's."""
    world.job("def map(line):\n    print(line, 'x' * 90)\n    yield line, 1\n\ndef teardown():\n    print('the end')\n")
    world.lines(*range(20_000))
    found = world.run("--workers", "2", "--split-size", "20KB")
    printed = found["stderr"].splitlines()
    assert printed.count("the end") == 2
    assert sorted(int(line.split()[0]) for line in printed if line.endswith("x" * 90)) == list(range(20_000))


def test_counters_of_setup_and_teardown(world):
    """What is counted before a worker's first record, and after its last, is told as well."""
    world.job(
        "from mrjerb import Job\n\n\nclass Counts(Job):\n"
        "    def setup(self):\n        self.count('begun')\n\n"
        "    def map(self, line):\n        yield line, 1\n\n"
        "    def teardown(self):\n        self.count('over')\n"
    )
    world.lines(1)
    assert world.run("--workers", "2")["counters"] == {"begun": 1, "over": 1}


def test_a_task_knows_its_input_from_begin_to_end(world):
    """`self.path` is told in map_begin and map_end, too, and is nothing in a reduce."""
    world.job(
        "from mrjerb import Job, Step\n\n\nclass Paths(Job):\n    def steps(self):\n"
        "        tell = lambda: [('path', self.path)]\n"
        "        return [Step(map=lambda line: tell(), map_begin=tell, map_end=tell,\n"
        "            reduce=lambda key, values: [(key, [self.path, *sorted(set(values))])])]\n"
    )
    world.lines(1)
    world.run()
    assert world.pairs() == [("path", [None, "in.txt"])]


def test_inputs_without_records(world):
    """Empty files: an output with the parts that were asked for, and no pairs; without a reduce, no parts."""
    world.job("def map(line):\n    yield line, 1" + REDUCE)
    for name in "ab":
        (world.folder / f"{name}.txt").write_text("")
    found = world.run("--reducers", "3", inputs=["a.txt", "b.txt"])
    assert (len(found["parts"]), found["pairs"], world.pairs()) == (3, 0, [])
    world.job("def map(line):\n    yield line, 1\n")
    assert world.run(inputs=["a.txt", "b.txt"])["parts"] == []
    assert (world.folder / "out" / "_SUCCESS").exists()
    world.tidy()


def test_no_input_at_all(world):
    """It is asked for."""
    world.job("def map(line):\n    yield line, 1\n")
    assert world.run(inputs=[], code=2)["error"]["message"].startswith("no input")
    world.as_before()


def test_large_records(world):
    """Lines of 50 MB pass through a map, a shuffle and a reduce."""
    world.job(
        "def map(line):\n    yield line[:1], line\n\ndef reduce(k, v):\n    yield k, sum(len(one) for one in v)\n"
    )
    with (world.folder / "in.txt").open("w") as file:
        for letter in "aba":
            file.write(letter * (50 << 20) + "\n")
    world.run("--workers", "1", "--memory", "1GB")
    assert world.pairs() == [("a", 100 << 20), ("b", 50 << 20)]
    world.tidy()


def test_more_workers_than_work_and_more_reducers_than_keys(world):
    """Each task has one worker at most, and each partition a part."""
    world.job("def map(line):\n    yield line, 1" + REDUCE)
    world.lines(1, 2, 3)
    found = world.run("--workers", "6", "--reducers", "500", "--memory", "1GB")
    assert len(found["parts"]) == 500
    assert sorted(world.pairs()) == [("1", 1), ("2", 1), ("3", 1)]


def test_many_splits(world):
    """Hundreds of tasks of a few records each."""
    world.job("def map(line):\n    yield int(line) % 2, 1" + REDUCE)
    world.lines(*range(3000))
    found = world.run("--split-size", "20", "--workers", "2")
    assert found["splits"] > 500
    assert sorted(world.pairs()) == [(0, 1500), (1, 1500)]


def vanishing(world, spoil):
    """What a run says whose last input is spoilt while the first is read."""
    world.job(
        "import os, time\n\ndef map(line):\n    open('running', 'w').close()\n"
        "    while not os.path.exists('spoilt'):\n        time.sleep(0.01)\n    yield line, 1\n"
    )
    world.lines(1)
    world.lines(*range(100), name="last.txt")
    process = world.start("--workers", "1", inputs=["in.txt", "last.txt"])
    until((world.folder / "running").exists, "the first record")
    spoil(world.folder / "last.txt")
    (world.folder / "spoilt").touch()
    found = world.ended(process, code=2)
    world.as_before()
    return found["error"]["message"]


def test_an_input_that_vanishes(world):
    """Between the plan and its reading."""
    assert vanishing(world, Path.unlink) == "last.txt: can't be read: No such file or directory"


def test_an_input_that_shrinks(world):
    """It is not taken for whole."""
    assert "last.txt: ends at byte 5" in vanishing(world, lambda path: os.truncate(path, 5))


def test_an_input_that_is_no_file(world):
    """A named pipe, which nobody may ever write into, is refused and not waited for."""
    world.job("def map(line):\n    yield line, 1\n")
    os.mkfifo(world.folder / "in.txt")
    process = world.start()
    found = world.ended(process, code=2)
    assert found["error"]["message"].startswith("in.txt: ")
    world.as_before()


def test_a_compressed_input_that_is_cut_off(world):
    """A gzip without its end is told by its name, and nothing of it is published."""
    world.job("def map(line):\n    yield line, 1\n")
    data = gzip.compress("".join(f"{number}\n" for number in range(10_000)).encode())
    (world.folder / "in.gz").write_bytes(data[: len(data) // 2])
    found = world.run(inputs=["in.gz"], code=2)
    assert found["error"]["message"].startswith("in.gz: ")
    world.as_before()


def test_an_input_that_may_not_be_read(world):
    """As another user: refused by name before anything runs."""
    world.job("def map(line):\n    yield line, 1\n")
    world.lines(1)
    (world.folder / "in.txt").chmod(0)
    if os.getuid() != 0:
        assert world.run(code=2)["error"]["message"] == "in.txt: can't be read: Permission denied"
        return
    world.folder.chmod(0o777)
    for path in (world.folder / "tmp", world.folder / "out"):
        path.chmod(0o777)
    code = (
        "import mrjerb, pathlib\nfrom mrjerb.inputs.resolving import local_file\nimport os\nos.setuid(65534)\n"
        "try:\n    local_file('in.txt', None, False)\nexcept mrjerb.MrjerbError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout == "in.txt: can't be read: Permission denied\n", done.stderr


def test_a_folder_for_temporary_files_that_is_none(world):
    """It is told by its flag; nothing was started."""
    world.job("def map(line):\n    yield line, 1\n")
    world.lines(1)
    done = mrjerb("run", "job.py", "in.txt", "-o", "new", "--tmp", "nowhere", code=2)
    assert "--tmp nowhere: there is no such folder" in done.stderr


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_streams_that_are_closed(world, closed):
    """As cron or a daemon may start it: what a job prints never gets into pipes of ours."""
    world.job(
        "import os, sys\n\ndef map(line):\n    print(line)\n    os.write(2, b'x' * 99)\n    yield line, 1" + REDUCE
    )
    world.lines(*range(100))
    program = f"import os, sys\nfor number in {closed}:\n    os.close(number)\nos.execv(sys.argv[1], sys.argv[1:])\n"
    command = [sys.executable, "-c", program, str(Path(sys.executable).parent / "mrjerb"), *world.arguments()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert len(world.pairs()) == 100


def test_a_folder_that_can_not_be_written(world):
    """The folder in which the command is given may be read-only: nothing is written there."""
    world.job("def map(line):\n    yield line, 1\n")
    world.lines(1)
    (world.folder / "elsewhere").mkdir()
    arguments = ["run", "../job.py", "../in.txt", "-o", "../elsewhere/new"]
    (world.folder / "closed").mkdir(mode=0o500)
    process = started(*arguments, cwd=world.folder / "closed")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert list((world.folder / "closed").iterdir()) == []
