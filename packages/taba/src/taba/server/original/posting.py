"""`POST /post` and `POST /post_zip`: what the original's clients and agents send, as columns of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat

import msgspec
import polars as pl
from starlette.datastructures import QueryParams

from taba.dialects.original.reading import Block, ProtocolError, TooManyLinesError, read
from taba.server import parameters, submissions
from taba.server.events import Events
from taba.server.intake import Outcome
from taba.server.service import Service
from taba.server.submissions import BadRequest, Submission, TooLarge

POSTED = {"/post": False, "/post_zip": True}
"""The paths, and whether what is sent there is compressed with zlib."""


class Posting(Events):
    """Takes events, and answers once they are in the store."""

    def __init__(self, service: Service, *, zipped: bool) -> None:
        super().__init__(service)
        self._zipped = zipped

    def _client(self, query: bytes) -> None:
        parameters.known(QueryParams(query))

    def _read(self, headers: Mapping[str, str], body: bytes, client: str | None) -> list[Submission]:
        del client
        plain = submissions.decompress(body, headers.get("content-encoding", "").lower(), self._body_limit)
        if self._zipped:
            plain = submissions.decompress(plain, "deflate", self._body_limit)
        try:
            found = read(plain)
        except TooManyLinesError as error:
            raise TooLarge(f"{error}: send it in parts") from None
        except ProtocolError as error:
            raise BadRequest(str(error)) from None
        return [Submission((), len(plain), events=_events(found.blocks), refused=[*found.refused], lost=found.lost)]

    def _answer(self, outcome: Outcome) -> bytes:
        """For people: the original's clients read no answer."""
        answer: dict[str, object] = {
            "accepted": outcome.accepted,
            "rejected": [{"line": line, "error": error} for line, error in outcome.rejected],
        }
        if outcome.rejected_total > len(outcome.rejected):
            answer["rejected_total"] = outcome.rejected_total
        return msgspec.json.encode(answer)


def _events(blocks: Sequence[Block]) -> pl.DataFrame:
    """The blocks' events as a table, as that of a JSON body is; `index` is the line."""
    count = pl.Series([len(block.times) for block in blocks], dtype=pl.UInt32)
    of_blocks = pl.DataFrame(
        {
            "written": pl.Series([block.name for block in blocks], dtype=pl.String),
            "full_type": pl.Series([block.type for block in blocks], dtype=pl.String),
            "client": pl.Series([block.client for block in blocks], dtype=pl.Categorical),
        }
    )
    events = of_blocks.with_columns(place=pl.int_ranges(count)).explode("place").drop("place")
    numbers = (repeat(None, len(block.values)) if block.is_text else block.values for block in blocks)
    texts = (block.values if block.is_text else repeat(None, len(block.values)) for block in blocks)
    return events.with_columns(
        index=pl.Series(list(chain.from_iterable(block.lines for block in blocks)), dtype=pl.UInt32),
        time=pl.Series(list(chain.from_iterable(block.times for block in blocks)), dtype=pl.Float64),
        number=pl.Series(list(chain.from_iterable(numbers)), dtype=pl.Float64),
        text=pl.Series(list(chain.from_iterable(texts)), dtype=pl.String),
    )
