"""Target of the original Taba's protocol, as its clients and its agents post it."""

from __future__ import annotations

from fuzz_events import NOW
from fuzz_heard import check_heard
from fuzz_targets import target

from taba.dialects.original.reading import ProtocolError, read
from taba.dialects.original.seconds import heard

BODY = b"""1

web-1

bids
["CounterGroup", 1700000000, "1.5"]
["CounterGroup", 1700000001.25, "2"]

state
["Gauge", 1700000000, "\\"on\\""]
["ExpiryGauge", 1700000000, "[5, 1700000060]"]


web-2

errors
["Buffer", 1700000000, "[{\\"a\\": null}, 1700000060]"]
["PercentileGroup", 1700000000, "NaN"]

"""


@target(BODY, BODY.replace(b"\n", b"\r\n"), b"1\n\nc\n\nt\n[]\n")
def original(data: bytes) -> None:
    """Any bytes as a body: ProtocolError, or each line of an event is recorded or refused with a reason."""
    try:
        found = read(data)
    except ProtocolError as error:
        assert str(error)
        return
    for block in found.blocks:
        assert len(block.times) == len(block.values) == len(block.lines) > 0
        assert {type(value) for value in block.values} <= ({str} if block.is_text else {float, int})
    told = heard(found, NOW)
    check_heard(told)
    came = sum(len(block.values) for block in found.blocks) + found.lost.total()
    assert sum(one.events() for one in told) == came
