"""Imports: each event is counted once, whatever happens on the way and however often the command is run."""

import gzip
import json
import random

import pytest

from taba.cli import transfer

EVENTS = [{"tab": "sales", "value": n} for n in range(95)]


@pytest.fixture
def events(tmp_path):
    """A file of events with three lines that are none."""
    file = tmp_path / "events.ndjson"
    lines = [json.dumps(event) for event in EVENTS]
    lines[10:10] = ["{bad", '{"tab": "sales"}']
    file.write_text("\n".join([*lines, '{"tab": "sales", "value": "text"}', ""]))
    return file


@pytest.fixture(autouse=True)
def refuse_texts(server):
    server.refuse = lambda event: "counters take numbers" if isinstance(event["value"], str) else None


def counted(server) -> list:
    return sorted(event["value"] for event in server.events)


def test_a_file_is_sent_in_batches_and_its_bad_lines_are_kept(taba, server, events):
    ended = taba("import", events, "--batch", 10, "--server", server.url)
    assert ended.code == 1, "not all lines went in"
    assert f"{events}: 95 accepted, 3 rejected, 0 sent before" in ended.out
    assert "line 11: not JSON" in ended.out
    assert "line 98: counters take numbers" in ended.out
    assert counted(server) == list(range(95))
    rejected = events.with_name("events.ndjson.rejected").read_text()
    assert rejected == '{bad\n{"tab": "sales"}\n{"tab": "sales", "value": "text"}\n'
    sources = {source for source, _ in server.seen}
    assert len(sources) == 1
    assert sources.pop().startswith("import/")


def test_sending_a_file_again_changes_nothing(taba, server, events):
    taba("import", events, "--batch", 10, "--server", server.url)
    kept = events.with_name("events.ndjson.rejected").read_text()
    packed = events.with_name("other name.ndjson.gz")
    packed.write_bytes(gzip.compress(events.read_bytes()))
    for path in (events, packed):
        ended = taba("import", path, "--batch", 10, "--server", server.url)
        assert "0 accepted, 2 rejected, 96 sent before" in ended.out
    assert counted(server) == list(range(95))
    assert events.with_name("events.ndjson.rejected").read_text() == kept, "what was refused the first time stays"


def test_busy_servers_and_lost_answers_are_overcome(taba, server, events):
    server.trouble = ["busy", "lost", "cut", "", "busy", "busy", "", "lost", "cut", "lost"]
    ended = taba("import", events, "--batch", 10, "--server", server.url, "--json")
    summary = json.loads(ended.out)["files"][0]
    assert summary["accepted"] + summary["already_there"] == 96 - (summary["rejected"] - 2)
    assert counted(server) == list(range(95))


def test_an_import_that_broke_off_goes_on_where_it_was(taba, server, events, monkeypatch):
    """The first batch is sent again to see that the server knows the import; what is acknowledged is skipped."""
    monkeypatch.setattr(transfer, "PATIENCE", 0.0)
    server.trouble = ["", "", "", "", "", "busy"]
    ended = taba("import", events, "--batch", 10, "--server", server.url)
    assert ended.code == 1
    assert "run the same command again to go on" in ended.err
    assert len(server.seen) == 5
    posts = []
    take = server.take
    server.take = lambda body, headers: posts.append(int(headers["Taba-Sequence"])) or take(body, headers)
    ended = taba("import", events, "--batch", 10, "--server", server.url)
    assert posts == [1, 6, 7, 8, 9, 10]
    assert "95 accepted, 3 rejected, 0 sent before" in ended.out
    assert counted(server) == list(range(95))
    kept = events.with_name("events.ndjson.rejected").read_text()
    assert kept.count("{bad") == 1


def test_a_note_means_nothing_to_a_server_that_has_lost_its_data(taba, server, events, monkeypatch):
    monkeypatch.setattr(transfer, "PATIENCE", 0.0)
    server.trouble = ["", "", "", "", "", "busy"]
    taba("import", events, "--batch", 10, "--server", server.url)
    server.seen.clear()
    server.events.clear()
    ended = taba("import", events, "--batch", 10, "--server", server.url)
    assert "95 accepted, 3 rejected, 0 sent before" in ended.out
    assert counted(server) == list(range(95))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_breaks_each_event_is_counted_once(taba, server, events, monkeypatch, seed):
    monkeypatch.setattr(transfer, "PATIENCE", 0.0)
    chance = random.Random(seed)
    for _ in range(50):
        server.trouble = chance.choices(["", "lost", "cut", "busy"], [6, 1, 1, 1], k=20)
        ended = taba("import", events, "--batch", 10, "--server", server.url)
        if "sent before" in ended.out:
            break
    assert counted(server) == list(range(95))


def test_a_csv_file_keeps_its_heading_with_its_rejected_rows(taba, server, tmp_path):
    file = tmp_path / "sales.csv"
    file.write_text("tab,value,till\nsales,1,a\nsales,,b\nsales,x,c\n")
    ended = taba("import", file, "--client", "tills", "--server", server.url)
    assert "1 accepted, 2 rejected" in ended.out
    assert server.events == [{"tab": "sales", "value": 1, "tags": {"till": "a"}}]
    assert file.with_name("sales.csv.rejected").read_text().split() == ["tab,value,till", "sales,,b", "sales,x,c"]


def test_more_rejected_lines_than_the_server_names_are_counted(taba, server, tmp_path):
    file = tmp_path / "texts.ndjson"
    file.write_text('{"tab":"sales","value":"text"}\n' * 150)
    ended = taba("import", file, "--server", server.url)
    assert "0 accepted, 150 rejected" in ended.out
    assert "most often: 100 × counters take numbers" in ended.out
    assert "50 more were rejected, of which the server did not say the lines" in ended.out


def test_several_files_have_a_summary_each(taba, server, events, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"tab":"x","value":1}')
    ended = taba("import", events, other, "--server", server.url, "--json")
    first, second = json.loads(ended.out)["files"]
    assert (first["accepted"], first["rejected"], second["accepted"], second["rejected"]) == (95, 3, 1, 0)
    assert first["first_rejected"][0]["line"] == 11


@pytest.mark.parametrize(
    ("name", "content", "code", "told"),
    [
        ("a.txt", b"", 2, "its name does not say its format"),
        ("a.csv", b"x,y\n", 1, "the first line must name the columns, tab and value among them"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", 1, "cannot be read"),
    ],
)
def test_a_file_at_fault_is_told(taba, server, tmp_path, name, content, code, told):
    file = tmp_path / name
    file.write_bytes(content)
    ended = taba("import", file, "--server", server.url)
    assert (ended.code, told in ended.err) == (code, True), ended.err
    assert str(file) in ended.err


def test_a_server_that_refuses_a_batch_ends_the_import(taba, server, events):
    server.trouble = ["413"]
    ended = taba("import", events, "--server", server.url)
    assert ended.code == 1
    assert "lines 1 to 98: told 413" in ended.err
