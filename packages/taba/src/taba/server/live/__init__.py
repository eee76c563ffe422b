"""Live answers, `GET /v1/live`: the answers to a question, and then what changes of them, as server-sent events.

question    what is watched: the parameters, and how it is answered
moments     the answers at one moment after the other, and what differs between two of them. Pure
topics      a question that is watched: answered once for all who watch it
stream      a watcher: one request, and what it is sent

stream  = retry ( answers | changes ) *( answers | changes | trouble | keep-alive ) [ error ]
retry   = "retry: " milliseconds
answers = "event: answers" id data      all there is; it takes the place of whatever the reader has
changes = "event: changes" id data      tabs, clients or points that changed; null is one that has gone
trouble = "event: trouble" data         {"error": text}: what is shown stays as it is for now
error   = "event: error" data           {"error": text}: this cannot be answered any more
id      = "id: " topic "." number       what a reader names that comes back: only what changed since is sent
"""

from __future__ import annotations

from taba.server.live.stream import routes
from taba.server.live.topics import TooManyWatched

__all__ = ["TooManyWatched", "routes"]
