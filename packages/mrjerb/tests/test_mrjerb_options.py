"""Options are typed fields of a class: which are found, what texts become, and how a wrong value is told."""

from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb import Job, JobError, UsageError
from mrjerb.options import options_of


class Base(Job):
    n: Annotated[int, "how many"] = 10
    limit: ClassVar[int] = 3
    plain = "no option: it has no type"
    _own: int = 0


class Report(Base):
    since: date | None = None
    rate: float = 0.5
    mode: Literal["fast", "exact"] = "fast"
    only: list[str] = []
    dry_run: bool = False


class Needs(Job):
    day: date


def test_which_fields_are_options():
    """Fields with a type, the bases' first; no ClassVar, nothing without a type or with _, nor Job's own."""
    found = {option.name: option for option in options_of(Report)}
    assert list(found) == ["n", "since", "rate", "mode", "only", "dry_run"]
    assert (found["n"].help, found["n"].initial, found["n"].flag) == ("how many", 10, "--n")
    assert found["dry_run"].flag == "--dry-run"
    assert found["only"].repeated
    assert not found["n"].repeated
    assert not any(option.required for option in found.values())


def test_a_subclass_says_another_default():
    """A default may be given anew without a type, and the option stays one."""

    class Few(Base):
        n = 3

    assert Few().n == 3
    assert Few(n="4").n == 4


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.dates(date(1, 1, 1)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text()),
    st.booleans(),
)
def test_texts_and_values_are_the_same(number, day, rate, only, dry_run):
    """From the command line or from code, an option has its type."""
    given_values = {"n": number, "since": day, "rate": rate, "only": only, "dry_run": dry_run}
    texts = {
        "n": str(number),
        "since": day.isoformat(),
        "rate": repr(rate),
        "only": only,
        "dry_run": str(dry_run).lower(),
    }
    for job in (Report(**given_values), Report(**texts)):
        assert {name: getattr(job, name) for name in given_values} == given_values


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": "ten"}, "--n ten.*it takes int"),
        ({"n": 1.5}, "--n 1.5.*it takes int"),
        ({"since": "yesterday"}, "--since yesterday"),
        ({"mode": "slow"}, "--mode slow.*fast"),
        ({"only": "a"}, "--only a"),
    ],
)
def test_a_wrong_value_is_told(options, said):
    """The text names the flag, what was given, and what it takes."""
    with pytest.raises(UsageError, match=said):
        Report(**options)


def test_an_option_that_must_be_given():
    """A field without a value is asked for by its flag."""
    assert options_of(Needs)[0].required
    with pytest.raises(UsageError, match="--day is missing"):
        Needs()
    assert Needs(day="2013-02-16").day == date(2013, 2, 16)


def test_an_option_that_is_none():
    """A name that the class does not have is refused by it."""
    with pytest.raises(JobError, match="Report has no option sinse"):
        Report(sinse="2013-02-16")


def test_a_type_that_nobody_knows():
    """An annotation that names nothing is the job's fault, and told with the class."""

    class Wrong(Job):
        n: "Nothing" = 1  # noqa: F821

    with pytest.raises(JobError, match="Wrong: the type of an option is not known"):
        Wrong()


@pytest.mark.parametrize("kind", [timedelta, complex, Job], ids=lambda kind: kind.__name__)
def test_a_type_that_no_text_can_be(kind):
    """Anything that msgspec reads from a text is fine; what it can't is told, not raised as it comes."""

    class Typed(Job):
        value: kind  # pyright: ignore

    Typed.__annotations__["value"] = kind
    try:
        msgspec.convert("PT1S", kind, strict=False)
    except (msgspec.ValidationError, TypeError):
        with pytest.raises((UsageError, JobError), match="value"):
            Typed(value="PT1S")
    else:
        assert Typed(value="PT1S").value == timedelta(seconds=1)


def test_a_default_is_no_ones_else():
    """A job that adds to its list leaves the class's, and the next job's, as it was."""
    job = Report()
    job.only.append("a")
    assert Report().only == []
