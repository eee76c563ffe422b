"""Sizes, times and numbers as people write and read them; which keys are heavy."""

import pytest

from mrjerb.errors import UsageError
from mrjerb.plan import Group, TaskReport
from mrjerb.sizes import counted, shown_seconds, shown_size, size_of
from mrjerb.skew import heaviest, partition_values


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MB", 512 << 20), ("2g", 2 << 30), ("1.5 KiB", 1536), ("17", 17), ("17 B", 17), (99, 99), (None, None)],
)
def test_sizes_are_read(text, size):
    """With each unit, in each spelling; a number is bytes."""
    assert size_of(text, "--memory") == size


@pytest.mark.parametrize("text", ["", "MB", "1.2.3MB", "-5MB", "5 elephants", "1e3"])
def test_what_is_no_size(text):
    """It is refused, by the flag's name."""
    with pytest.raises(UsageError, match=r"--memory .* is no size"):
        size_of(text, "--memory")


def test_what_is_shown():
    """Few figures, with the unit that fits."""
    sizes = [0, 1, 1023, 1024, 150 << 10, 1 << 20, 5 << 40, 5000 << 40]
    assert [shown_size(size) for size in sizes] == [
        "0 bytes", "1 byte", "1023 bytes", "1.0 KB", "150 KB", "1.0 MB", "5.0 TB", "5000 TB",
    ]  # fmt: skip
    seconds = [0.004, 0.4, 9.96, 59.6, 200, 7500]
    assert [shown_seconds(one) for one in seconds] == ["4 ms", "0.4 s", "10 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
    assert [counted(1, "part"), counted(2000, "part"), counted(0, "query")] == ["1 part", "2,000 parts", "0 queries"]


def test_heavy_keys():
    """The largest of each stage first, with their part of its values; notable where others wait for them; those of few
    values are no matter."""
    tasks = [
        TaskReport(1, "partition 10", 1, 1, 1, values=40_000),
        TaskReport(1, "partition 2", 1, 1, 1, values=60_000),
    ]
    groups = [Group(1, "a", 30_000, 0), Group(1, "b", 50_000, 0), Group(2, "c", 900, 0), Group(2, "few", 99, 0)]
    found = heaviest(groups, tasks, 2)
    assert [(heavy.group.key, heavy.part, heavy.notable) for heavy in found[1]] == [("b", 0.5, True), ("a", 0.3, True)]
    assert [(heavy.group.key, heavy.part, heavy.notable) for heavy in found[2]] == [("c", None, False)]
    assert partition_values(tasks) == {1: [("partition 2", 60_000), ("partition 10", 40_000)]}
