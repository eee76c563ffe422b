"""What an agent says of itself: whole numbers whatever the clock does, and nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from taba.agent.identity import Identity
from taba.agent.report import Report
from taba.frame import decode


@given(
    st.lists(
        st.tuples(st.floats(-1e5, 1e5), st.integers(0, 9), st.booleans()),
        max_size=20,
    )
)
def test_reports_add_up_under_any_clock(steps: list[tuple[float, int, bool]]) -> None:
    """The clock steps to and fro, and frames fail to be written: each is a valid frame, and none is missing."""
    now, total = 1.7e9, 0
    report = Report(Identity("0123456789ab", 3, "00ff00ff"), now)
    told: list[bytes] = []
    for step, grown, written in steps:
        now += step
        total += grown
        frame = report.frame(now, {"frames{way=in}": total}, {"spool.bytes": 1.0}, {"commit.ms": [2.0]})
        if written:
            report.written()
            told.append(frame)
    headers = [next(decode(frame)).header for frame in told]
    assert [header.sequence for header in headers] == list(range(1, len(told) + 1))
    assert [header.recorded for header in headers] == [
        sum(one.events() for one in headers[: place + 1]) for place in range(len(headers))
    ]
    assert all(0 <= header.stop - header.start <= 1 for header in headers)
    counted = sum(
        value
        for frame in told
        for one in decode(frame)
        for name, value in zip(one.header.names, one.numbers(), strict=True)
        if name == "taba.agent.frames{way=in}"
    )
    assert counted <= total
    report.written()
    (last,) = decode(report.frame(now, {"frames{way=in}": total}, {}, {}))
    rest = sum(one for name, one in zip(last.header.names, last.numbers(), strict=True) if "frames" in name)
    assert counted + rest <= total
