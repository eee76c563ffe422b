"""Taba: events become answers within a second. What a program records, `taba up` answers for.

    import taba

    won = taba.counter("bids.won", exchange="fbx").record
    won(1)

The client starts with the first tab, sends four times a second, and never stands in the program's way.
"""

from taba.client.recorder import Recorder

__all__ = [
    "buffer",
    "counter",
    "flush",
    "gauge",
    "percentile",
    "record",
    "start",
    "stop",
    "timer",
    "top",
    "uniques",
]
__version__ = "0.1.0"

_recorder = Recorder()

start = _recorder.start
flush = _recorder.flush
stop = _recorder.stop

counter = _recorder.counter
percentile = _recorder.percentile
gauge = _recorder.gauge
uniques = _recorder.uniques
top = _recorder.top
buffer = _recorder.buffer
timer = _recorder.timer
record = _recorder.record
