"""Ranges of the embedded engine end where they should, whatever becomes of the memory of their bounds meanwhile."""

from analysis_events import fill

from eventlog import keys
from eventlog.engines import Counts, Want
from eventlog.keys import Range


def test_a_range_ends_at_its_end(tmp_path):
    """RocksDB keeps a pointer to the bound's bytes: were they freed, a read would go on, or end too early."""
    with fill(tmp_path / "log", events=300) as log:
        everything = [cell for batch in log.engine.read(log.scan().within, Want(), Counts()) for cell in batch]
        for length in range(1, 40):
            one = Range(b"", b"M" * length)
            found = [cell for batch in log.engine.read([one], Want(), Counts()) for cell in batch]
            assert found == [cell for cell in everything if cell.row < one.stop], length
            assert [keys.read_row(cell.row) for cell in found]
