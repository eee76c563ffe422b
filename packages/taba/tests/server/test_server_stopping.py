"""What is asked of a server that is told to stop before it has answered."""

import http.client
import json
import logging
import threading
import time

import uvicorn
from server_process import wait_until

from taba.config import Settings
from taba.server.app import make_app
from taba.server.service import Service


def test_a_question_that_outlives_the_server_is_told_to_ask_again(tmp_path, caplog):
    """A stop waits a while for what is being answered. What takes longer gets 503 and not 500, and no traceback."""
    service = Service(Settings(data=tmp_path))
    asked, released = threading.Event(), threading.Event()

    def slow(*given, **named):
        asked.set()
        released.wait(60)
        return []

    service.windows = slow
    config = uvicorn.Config(make_app(service), port=0, timeout_graceful_shutdown=1, log_config=None)
    server, answers = uvicorn.Server(config), []
    runs = threading.Thread(target=server.run)
    runs.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/aggregates?tab=a&window=1m")
        answer = connection.getresponse()
        answers.append((answer.status, answer.headers.get("retry-after"), json.loads(answer.read())))
        connection.close()

    asks = threading.Thread(target=ask)
    asks.start()
    assert asked.wait(60)
    with caplog.at_level(logging.ERROR):
        server.should_exit = True
        time.sleep(2.5)
        released.set()
        for thread in (asks, runs):
            thread.join(60)
    assert answers == [(503, "1", {"error": "the server stopped before this was answered: ask again"})]
    assert [record for record in caplog.records if record.exc_info] == []
