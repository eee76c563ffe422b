"""Commands and pre-filters of mrjob's jobs: programs without a shell, and a word for what needs one."""

import pytest

from mrjerb.compat.commands import Pipeline, programs_of, words_of
from mrjerb.errors import EngineError, JobError, UnsupportedError


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("grep -i u", [["grep", "-i", "u"]]),
        ("grep 'a|b' | sort|uniq -c", [["grep", "a|b"], ["sort"], ["uniq", "-c"]]),
        ("awk '{print $1}'", [["awk", "{print $1}"]]),
        (r"grep a\|b", [["grep", "a|b"]]),
        (r"sed s/\$/x/", [["sed", "s/$/x/"]]),
        ("grep a#b", [["grep", "a#b"]]),
        ("sh -c 'grep x || true'", [["sh", "-c", "grep x || true"]]),
    ],
)
def test_a_filter_is_programs(command, programs):
    """Quotes, escapes and pipes of a pre-filter mean what they mean to a shell."""
    assert programs_of(command) == programs


@pytest.mark.parametrize(
    "command",
    [
        *("grep a > x", "a; b", "a && b", "a || b", "ls *", "grep $x", 'grep "$x"', "a `b`", "cat ~/x", "X=1 a", "a &"),
        *("(a)", "a {b,c}", "! a", "a\nb", "cat < x", "ls [ab]"),
    ],
)
def test_what_needs_a_shell_is_refused_by_name(command):
    """No pre-filter means something else than to mrjob, which gave it to a shell: it runs the same, or is refused."""
    with pytest.raises((UnsupportedError, JobError)):
        programs_of(command)


def test_a_command_is_words_as_mrjob_splits_them():
    """A `*_cmd` never was a shell's: `$` and `|` are its own words."""
    assert words_of("grep '$x' | cat") == ["grep", "$x", "|", "cat"]
    with pytest.raises(JobError, match="quot"):
        words_of("grep 'a")


def test_lines_go_through_programs():
    """More lines than pipes hold go in and come out in order, though nothing is read before all is written."""
    pipeline = Pipeline([["grep", "7"], ["tr", "7", "x"]], strict=False)
    for number in range(50_000):
        pipeline.write(b"%d" % number)
    expected = [str(number).replace("7", "x").encode() for number in range(50_000) if "7" in str(number)]
    assert list(pipeline.lines()) == expected


def test_a_program_that_reads_no_more_is_no_error():
    """`head` ends early; its lines are all that is wanted."""
    pipeline = Pipeline([["head", "-n", "1"]], strict=True)
    for number in range(100_000):
        pipeline.write(b"%d" % number)
    assert list(pipeline.lines()) == [b"0"]


@pytest.mark.parametrize(("words", "said"), [(["false"], "exit status 1"), (["no-such-program"], "can't be started")])
def test_a_program_that_fails_is_an_error(words, said):
    """A command that fails, or is not there, ends the run, and says which it is."""
    with pytest.raises(EngineError, match=said):
        list(Pipeline([words], strict=True).lines())


def test_a_program_that_is_left_is_ended():
    """A task that ends in its middle leaves no process behind."""
    pipeline = Pipeline([["cat"], ["cat"]], strict=True)
    processes = list(pipeline._processes)
    pipeline.write(b"x")
    pipeline.close()
    assert all(process.poll() is not None for process in processes)
