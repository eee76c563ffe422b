"""The example of docs/clients.md: a client written in an afternoon keeps the promises that the page says it keeps."""

import sys
from pathlib import Path

import pytest
from node_program import ROOT, run
from server_process import ServerProcess

sys.path.append(str(Path(__file__).parents[1] / "client"))

from event_sink import EventSink

EXAMPLE = ROOT / "docs/examples/afternoon.mjs"
HEAD = f'import {{ Client as Afternoon, encode }} from "{EXAMPLE}";\n'


@pytest.fixture
def sink():
    sink = EventSink()
    yield sink
    sink.close()


def test_the_page_shows_the_file():
    """What the page explains is what is tested."""
    shown = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    assert f"```js\n{EXAMPLE.read_text(encoding='utf-8')}```\n" in shown


def test_totals_are_exact_and_losses_are_told(tmp_path):
    """A real server has each number, what was dropped by reason, and an account that balances."""
    server = ServerProcess(tmp_path, gather_ms=10)
    text = f"""
    const taba = new Afternoon("afternoon-1", "{server.url}");
    for (let place = 1; place <= 1000; place++) taba.record("orders{{shop=berlin}}", "counter", place);
    taba.record("orders{{shop=berlin}}", "counter", NaN);
    setTimeout(() => {{ taba.record("wait.ms", "percentile", 81.5); void taba.close(); }}, 600);
    """
    try:
        run(tmp_path, HEAD + text)
        assert server.totals("orders*") == {"orders{shop=berlin}": 500_500}
        account = server.get("/v1/ledger", client="afternoon-1")["ledger"]["afternoon-1"]
        assert (account["recorded"], account["folded"], account["in_flight"]) == (1002, 1001, 0)
        assert account["dropped"] == {"not_finite": 1}
    finally:
        server.close()


def test_lost_answers_refusals_and_a_full_queue(sink, tmp_path):
    """The same bytes are repeated until answered, a refused frame leaves its tombstone, and memory is bounded."""
    sink.script = ["lose", 503, (400, "no"), 200]
    text = f"""
    const taba = new Afternoon("c", "{sink.address}", {{ values: 50, frames: 3 }});
    for (let round = 0; round < 8; round++) {{
      for (let place = 0; place < 60; place++) taba.record("n", "counter", 1);
      taba.flush(Date.now() / 1000);
    }}
    console.log(taba.waiting.length);
    const timer = setInterval(() => {{ if (!taba.waiting.length) {{ clearInterval(timer); taba.close(); }} }}, 20);
    """
    assert run(tmp_path, HEAD + text).strip() == "3"
    (account,) = sink.accounts().values()
    assert (account.events, account.recorded) == (480, 480)
    assert account.sequences == list(range(1, len(account.sequences) + 1))
    lost = {}
    for one in sink.frames:
        drops = one.header.drops
        for reason, count in zip(drops.reasons, drops.counts, strict=True):
            lost[reason] = lost.get(reason, 0) + count
    assert sink.requests[0].body == sink.requests[1].body
    assert lost["flush_limit"] == 80
    assert lost["pending_full"] == 250
    assert lost.get("refused", 0) in (0, 50)
