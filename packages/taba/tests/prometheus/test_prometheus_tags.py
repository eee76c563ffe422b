"""Tags may be called as what the server calls its own columns: they are labels like all others."""

import time
from contextlib import closing

import pytest
from metrics_world import CLASSIC, samples
from server_process import ServerProcess
from test_prometheus_api import instant

KINDS = {"counter": 1, "percentile": 5, "gauge": 2, "uniques": "x", "top": "y", "buffer": "z"}
KEYS = ["tab", "policy", "rung", "place", "name", "count", "bucket", "slice", "text", "series", "multiply", "number"]


@pytest.mark.parametrize("patterns", [[], [{"match": "other.*", "clients": ["1s for 2m"], "fleet": ["1s for 10m"]}]])
def test_a_tag_may_have_any_key(tmp_path, patterns):
    """Each key of its own, and both values apart, as `/metrics` has them; whether or not some tabs have tiers of
    their own."""
    with closing(ServerProcess(tmp_path, gather_ms=10, tiers={"patterns": patterns})) as server:
        before = time.time() - 5
        server.record(
            [
                {"tab": f"{kind}.x{place}{{{key}={text},more=1}}", "type": kind, "value": value, "time": before}
                for kind, value in KINDS.items()
                for place, key in enumerate(KEYS)
                for text in ("p", "q")
            ]
        )
        page = samples(server.request("GET", "/metrics?tab=*").body.decode(), CLASSIC)
        own = {labels | {("__name__", name)} for name, labels in page if not name.startswith("taba_")}
        assert instant(server, '{__name__=~".+",__name__!~"taba_.*"}').keys() == own
        summed = instant(server, 'sum by (tab) (increase({__name__="counter_x0_total"}[10m]))')
        assert len(summed) == 2
