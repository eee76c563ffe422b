"""States of every type as chunks: made here, written to files, and read by another process.

python chunk_cases.py write FOLDER      a chunk of each built-in type and view, with its answers, as in `golden`
python chunk_cases.py read FOLDER       the answers of those chunks, as JSON
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from handler_cases import HANDLERS, START, Event, answers, folded, handler_of

from taba.handlers.base import Handler, Value
from taba.handlers.registry import BUILT_IN
from taba.states import chunks
from taba.states.fold import FLEET_KEYS, coarsen
from taba.store.protocol import ChunkInfo, NewChunk

VIEWS = {"raw": 1, "clients": 1, "fleet": 60}
TEXTS = ["a", "b", "é", 'say "hi"', "", "日本"]


def sample(handler: Handler, seed: int = 1) -> list[Event]:
    """Events of three tabs and five clients over three minutes, the same for the same seed."""
    rng = random.Random(seed)

    def value() -> float | str:
        text = handler.value is Value.TEXT or (handler.value is Value.ANY and rng.random() < 0.5)
        return rng.choice(TEXTS) if text else rng.randint(-800, 8_000) / 8

    tabs, clients = ["a.one", "a.two{k=v}", "b{k=é}"], [f"client-{n}" for n in range(5)]
    return [(rng.choice(tabs), rng.choice(clients), START + rng.randint(0, 720) / 4, value()) for _ in range(120)]


def made(handler: Handler, view: str) -> NewChunk:
    """A chunk of the sample's States, as the server or the compactor makes it for the view."""
    states = folded(handler, sample(handler))
    if view == "fleet":
        states = coarsen(handler, states, VIEWS[view], FLEET_KEYS)
    return chunks.make(handler, states, shard=3, view=view, policy="", width=VIEWS[view], created=START + 200.0)


def plain_answers(handler: Handler, info: ChunkInfo, body: bytes) -> dict[str, Any]:
    """The fleet's answers over a chunk's States, as JSON can hold them."""
    found = answers(handler, chunks.read(handler, info, body), until=START + 180.0, seconds=180.0)
    return {tab: found[tab,] for (tab,) in sorted(found)}


def write(folder: Path) -> None:
    for handler in HANDLERS:
        if type(handler) not in BUILT_IN:
            continue
        for view in VIEWS:
            chunk = made(handler, view)
            path = folder / f"{handler.type}-{handler.version}-{view}"
            path.with_suffix(".chunk").write_bytes(chunk.body)
            told = {"info": asdict(chunk.info), "answers": plain_answers(handler, chunk.info, chunk.body)}
            path.with_suffix(".json").write_text(json.dumps(told, ensure_ascii=False) + "\n")


def stored(folder: Path) -> Iterator[tuple[str, ChunkInfo, bytes, dict[str, Any]]]:
    """The chunks of a folder: name, what is known of each, bytes and answers."""
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text())
        yield path.stem, ChunkInfo(**told["info"]), path.with_suffix(".chunk").read_bytes(), told["answers"]


def read(folder: Path) -> dict[str, Any]:
    return {name: plain_answers(handler_of(info.type), info, body) for name, info, body, _ in stored(folder)}


if __name__ == "__main__":
    _, what, where = sys.argv
    if what == "write":
        write(Path(where))
    else:
        sys.stdout.write(json.dumps(read(Path(where))))
