"""What others wrote, and what is secret, as logs and errors show it."""

import logging
import sys

import pytest

from taba.agent.doors.prometheus.fetching import FetchError
from taba.cli.serving import OneLine
from taba.client.link import parse_address
from taba.config import ConfigError, load
from taba.dialects.prometheus.targets import target


@pytest.mark.parametrize(
    "written",
    [
        "http://user:hidden@host:9100/metrics",
        "user:hidden@host",
        "node=http://user:hid/hidden@host/metrics",
        "https://hidden@host:port",
        "ftp://a:hidden@b@host",
    ],
)
def test_no_password_of_an_address_is_shown(written, tmp_path):
    """Not in the error for a page that is none, nor for a server's address, nor by the settings."""
    with pytest.raises(ValueError, match="is no page to scrape") as told:
        target(written)
    file = tmp_path / "taba.toml"
    file.write_text(f'[agent]\nscrape = ["{written}"]\n')
    with pytest.raises(ConfigError, match=r"agent\.scrape") as said:
        load(file, {})
    try:
        shown = parse_address(written, "TABA_SERVER").written
    except ValueError as error:
        shown = str(error)
    for text in (str(told.value), str(said.value), shown):
        assert "hid" not in text
        assert "host" in text


def test_no_secret_in_a_page_s_query_is_shown():
    """What asks for a page is sent whole, and shown without what looks like a secret."""
    found = target("http://host/probe?target=a&api_key=hidden&TOKEN=hidden&module=b")
    assert found.request == "/probe?target=a&api_key=hidden&TOKEN=hidden&module=b"
    assert found.shown == "http://host:80/probe?target=a&api_key=…&TOKEN=…&module=b"


def test_a_message_is_one_line_whatever_is_in_it():
    """Nobody writes a line of their own into a log, or tells the terminal of whoever reads it what to do."""
    formatter = OneLine("%(levelname)s %(message)s")

    def shown(*told, **more):
        return formatter.format(logging.LogRecord("x", logging.WARNING, "f", 1, *told, **more))

    assert shown("a watcher of %s", ("a\nERROR all is lost\x1b[2J\u2028é",), None) == (
        "WARNING a watcher of a\\nERROR all is lost\\x1b[2J\\u2028é"
    )
    try:
        raise ValueError("why")
    except ValueError:
        lines = shown("it\nfailed", (), exc_info=sys.exc_info()).splitlines()
    assert lines[0] == "WARNING it\\nfailed"
    assert lines[-1] == "ValueError: why"
    assert str(FetchError("it answered 500 \x1b[31mred\r\n")) == "it answered 500 ?[31mred??"
