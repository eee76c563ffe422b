"""How tabs come to be, and how they are listed."""

import csv
import io
from array import array

import msgspec

from taba import frame


def test_a_refused_event_makes_no_tab(server):
    """An event of the wrong kind neither lists its tab nor gives the name a type for ever."""
    wrong = server.post(msgspec.json.encode({"client": "c1", "events": [{"tab": "release", "value": "v1.4"}]}))
    assert "takes numbers" in wrong.content["rejected"][0]["error"]
    assert server.get("/v1/tabs", match="release")["tabs"] == []
    server.record([{"tab": "release", "type": "gauge", "value": "v1.4"}])
    assert [tab["type"] for tab in server.get("/v1/tabs", match="release")["tabs"]] == ["gauge"]


def test_answers_are_sorted_by_tab_whatever_the_type(server):
    """The same question has the same order, in every format."""
    types = {"sort.b": "counter", "sort.a": "percentile", "sort.d": "gauge", "sort.c": "counter"}
    server.record([{"tab": tab, "type": kind, "value": 1} for tab, kind in types.items()])
    asked = {"tab": "sort.*", "window": "1m"}
    assert list(server.get("/v1/aggregates", **asked)["tabs"]) == sorted(types)
    lines = server.get("/v1/aggregates", accept="text/csv", **asked).body.decode()
    assert [row["tab"] for row in csv.DictReader(io.StringIO(lines))] == sorted(types)
    plain = server.get("/v1/aggregates", accept="text/plain", **asked).body.decode().splitlines()
    assert [line.split()[0] for line in plain if not line.startswith("#")] == sorted(types)


def test_a_series_has_the_same_time_in_every_format(server):
    """The slice's time is called `time` in CSV as it is in JSON."""
    server.record([{"tab": "timed", "value": 1}])
    lines = server.get("/v1/series", accept="text/csv", tab="timed", step="60s").body.decode()
    points = server.get("/v1/series", tab="timed", step="60s")["tabs"]["timed"]
    assert [float(row["time"]) for row in csv.DictReader(io.StringIO(lines))] == [point["time"] for point in points]


def test_entries_of_a_frame_are_counted_on_through_its_texts(server):
    """A rejected entry's index tells which it was: the texts' names come after the numbers'."""
    now = server.get("/v1/tabs")["complete_to"]
    header = frame.Header("c1", "e-index", 1, now - 0.5, now - 0.25, ["fine", "not a name"], ["counter"] * 2, [1, 1])
    header.texts = frame.Texts(["top.fine", "nor this"], ["top", "top"], [1, 1], ["x", "y"])
    answer = server.post(frame.encode(header, frame.pack_values(array("d", [1, 2]))), frame.CONTENT_TYPE)
    assert (answer.content["accepted"], [entry["index"] for entry in answer.content["rejected"]]) == (2, [1, 3])
