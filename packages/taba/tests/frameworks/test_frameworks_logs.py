"""The log handler: every record is counted, the newest errors are kept, and nothing it does causes another record."""

import os
import subprocess
import sys
import textwrap

from framework_server import PATIENCE


def run(sink, program, **variables):
    """Run a program in a process of its own that records to the sink."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
    head = "import logging, taba.logs\nlogging.getLogger().setLevel(1)\n"
    ended = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(program)],
        env=clean | {"TABA_SERVER": sink.address} | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def records(sink):
    """How many records by logger and level."""
    found = {}
    for tab, total in sink.totals().items():
        level, _, logger = tab.removeprefix("logs.records{level=").rstrip("}").partition(",logger=")
        found[logger, level] = total
    return found


def test_records_are_counted_and_errors_are_kept(sink):
    run(
        sink,
        """
        logging.getLogger().addHandler(taba.logs.Handler())
        shop = logging.getLogger("shop.orders")
        for number in range(10):
            shop.info("order %s", number)
        shop.log(25, "between two levels")
        shop.error("payment %s failed", 7)
        try:
            raise ValueError("no money")
        except ValueError:
            shop.exception("order %d", 8)
        logging.critical("%d", "arguments that do not fit")
        """,
    )
    assert records(sink) == {
        ("shop.orders", "info"): 11,
        ("shop.orders", "error"): 2,
        ("root", "critical"): 1,
    }
    assert sorted(sink.texts()) == [
        "ValueError",
        "root: %d",
        "shop.orders: order 8: ValueError: no money",
        "shop.orders: payment 7 failed",
    ]


def test_nothing_recurses(sink):
    """Neither Taba's own warnings, nor a message that logs while it is made, nor a tab of another type."""
    said = run(
        sink,
        """
        taba.top("other.records")
        for prefix in ("logs", "other"):
            logging.getLogger().addHandler(taba.logs.Handler(prefix=prefix))
        class Chatty:
            def __str__(self):
                logging.error("inside")
                return "outside"
        logging.error("%s", Chatty())
        taba.counter("a").record("no number")        # a warning of the log `taba`
        taba.flush()
        logging.getLogger("taba").warning("by hand")
        """,
    )
    assert records(sink)["root", "error"] >= 1
    assert not any(logger.startswith("taba") for logger, _ in records(sink))
    assert "root: outside" in sink.texts()
    assert said.count("other.records failed") <= 1


def test_what_is_kept_is_bounded(sink):
    """Loggers that are made up by the thousand, and a storm of errors: all are counted, few are told apart."""
    run(
        sink,
        """
        logging.getLogger().addHandler(taba.logs.Handler())
        for number in range(1000):
            logging.getLogger(f"made.up.{number}").error("x" * 5000)
            logging.getLogger(f"made.up.{number}").log(number, "y")
        """,
    )
    found = records(sink)
    assert sum(found.values()) == 1999, "level 0 is not logged"
    assert len({logger for logger, _ in found}) == 201
    texts = sink.texts()
    assert max(map(len, texts)) == 1024
    assert len(texts) <= 100 * len(sink.requests)


def test_from_a_configuration_and_without_messages(sink):
    """As frameworks configure logging, by the class's name."""
    run(
        sink,
        """
        import logging.config
        handlers = {"taba": {"class": "taba.logs.Handler", "level": "WARNING", "messages": False}}
        root = {"level": "DEBUG", "handlers": ["taba"]}
        logging.config.dictConfig({"version": 1, "handlers": handlers, "root": root})
        logging.info("not counted")
        logging.error("secret")
        """,
    )
    assert records(sink) == {("root", "error"): 1}
    assert sink.texts() == []
