"""Addresses of stores: what is written is what is meant, what is strange is told, and no password is shown."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taba.store.address import AddressError, parse

HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,20}|\[[0-9a-f:]{2,10}\]", fullmatch=True)
PORTS = st.integers(1, 65535)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    user=st.none() | WORDS,
    password=WORDS,
    hosts=st.lists(st.tuples(HOSTS, PORTS), min_size=1, max_size=3),
    kind=st.sampled_from(["", "+cluster", "+sentinel"]),
    tls=st.booleans(),
    prefix=st.from_regex(r"[A-Za-z0-9_.:/-]{1,20}", fullmatch=True),
)
def test_what_is_written_is_what_is_meant(user, password, hosts, kind, tls, prefix):
    """Any user and password, percent-encoded, any hosts and ports, come out as they were put in."""
    hosts = hosts[:1] if not kind else hosts
    written = f"redis{'s' if tls else ''}{kind}://{quote(user or '', safe='')}:{quote(password, safe='')}@"
    written += ",".join(f"{host}:{port}" for host, port in hosts)
    written += ("/main" if kind == "+sentinel" else "") + f"?prefix={quote(prefix, safe='')}"
    found = parse(written)
    assert (found.user, found.password, found.tls, found.prefix) == (user, password, tls, prefix)
    assert found.hosts == tuple((host.strip("[]"), port) for host, port in hosts)
    assert found.shown == re.sub(r"//([^:]*):[^@]*@", r"//\1:…@", written)


@given(st.text(max_size=40) | st.from_regex(r"rediss?(\+(unix|cluster|sentinel))?://[\x20-\x7e]{0,40}", fullmatch=True))
@example("redis://[::1")
@example("redis://:a[b@host")
@example("redis://host:99999999999999999999")
@example("redis+unix://")
@example("redis://ho st")
def test_strange_input_is_told(text):
    """Whatever is given is an address or an error in words."""
    try:
        parse(text)
    except AddressError as error:
        assert len(str(error)) > 10


SECRET = "t0p"


@pytest.mark.parametrize("kind", ["", "+cluster", "+sentinel", "+unix"])
@given(data=st.data())
def test_no_password_is_shown(kind, data):
    """Not where it is right, nor where it holds what should have been percent-encoded, wherever the error is."""
    marks = st.text(st.sampled_from("@/?#[]:%,& "), max_size=3)
    password = data.draw(marks) + SECRET + data.draw(marks) + SECRET
    after = data.draw(
        st.sampled_from(["host", "host:1,b", "host:x", "/path", "host/9999999", "host?a=b", "", "[", "h#x"])
    )
    text = data.draw(st.sampled_from([f"redis{kind}://:", f"rediss{kind}://me:", "redis:/:", "http://me:"]))
    try:
        shown = parse(f"{text}{password}@{after}").shown
    except AddressError as error:
        shown = str(error)
    assert SECRET not in shown


def test_what_must_be_percent_encoded_is_told():
    """A password with characters that end it early is not taken for another address, and the error says what to do."""
    for password in ("a/b", "a?b", "a#b", "a@b"):
        with pytest.raises(AddressError, match="percent-encoded"):
            parse(f"redis://:{password}@host")


def test_a_unix_socket_may_have_a_password():
    """It is used, and not left out in silence."""
    found = parse("redis+unix://me:s%40t@/run/a%40b.sock")
    assert (found.user, found.password, found.name) == ("me", "s@t", "/run/a@b.sock")
    assert found.shown == "redis+unix://me:…@/run/a%40b.sock"
