"""Whatever has once broken a parser does so no more; and every target holds for its seeds, whole and changed a little.

The search itself is `make fuzz`, which goes on for as long as it is told to.
"""

import random
from pathlib import Path

import fuzz_targets
import pytest

from taba import frame
from taba.agent import salvage

TARGETS = fuzz_targets.load_all()
CHANGED = 60
"""How many changed seeds are tried of each target: a smoke test of the targets, no search."""


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_a_parser_keeps_its_promises(target):
    """No error but its own, no answer but a reference's: for seeds, for what was found, for both changed a little."""
    chance = random.Random(target.name)
    kept = [*target.seeds, *(path.read_bytes() for path in target.found())]
    for data in [b"", *kept]:
        target.run(data)
    for _ in range(CHANGED):
        target.run(changed(chance, chance.choice(kept), chance.choice(kept)))


def changed(chance, data, other):
    """Some bytes of one input changed, or left out, or another's put in."""
    bytes_ = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(bytes_))
        how = chance.randrange(4)
        if how == 0 and at < len(bytes_):
            bytes_[at] = chance.randrange(256)
        elif how == 1:
            del bytes_[at : at + chance.randint(1, 8)]
        elif how == 2:
            bytes_[at:at] = bytes([chance.choice(b'\x00"\\{}[]=,:()\n\xff0-9.eE')])
        elif other:
            start = chance.randrange(len(other))
            bytes_[at:at] = other[start : start + chance.randint(1, 20)]
    return bytes(bytes_)


def test_every_kept_input_has_a_target():
    """An input that was found is run, and not forgotten when a target gets another name."""
    written = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("fuzz_*.py"))
    for folder in fuzz_targets.FOUND.iterdir():
        assert f"\ndef {folder.name}(data: bytes)" in written


def test_made_up_beginnings_cost_bounded_work(monkeypatch):
    """Bytes in which large frames seem to begin everywhere are not checked whole for each of them."""
    checked = []

    def counted(view):
        *_, header, values, _ = frame.PREFIX.unpack_from(view)
        checked.append(header + values)
        return frame.split(view)

    small = frame.encode(frame.Header("c", "e", 1, 1.0, 2.0))
    count = 5000
    sizes = [20 * (count - place) // 8 * 8 for place in range(1, count + 1)]
    made_up = b"".join(frame.PREFIX.pack(frame.MAGIC, frame.VERSION, 0, 0, size, 1) for size in sizes)
    monkeypatch.setattr(salvage, "VAIN_BYTES", 1 << 20)
    monkeypatch.setattr(salvage, "split", counted)
    assert [one.header is not None for one in salvage.pieces(made_up + small)] == [False, True]
    assert sum(size for size in checked if size > salvage.SMALL_BYTES) <= 1 << 20
