"""Tokens as texts, as a file, and as what a process that runs knows of them."""

import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring import bearer, issue, revoke

from taba.locks import tokens
from taba.locks.file import TokensError, changing, read
from taba.locks.gate import Gate, LockedError, Scope
from taba.locks.gate import bearer as given_bearer
from taba.locks.keys import LOOK_SECONDS, Keys
from taba.locks.limits import Bucket, Meters
from taba.locks.origins import is_foreign, is_told_own
from taba.locks.outgoing import Credentials, of_environment, of_person
from taba.locks.patterns import patterns
from taba.locks.tokens import Token, TokenError

OWN, TEXT = tokens.made()


def token(**fields) -> Token:
    return Token("abc123", "0" * 64, 0.0, **fields)


def test_a_token_is_known_again():
    """Its id can be read, its secret is kept nowhere, and no two are alike."""
    made = [tokens.made() for _ in range(200)]
    assert all(tokens.id_of(text) == own for own, text in made)
    assert len({text for _, text in made}) == len(made)
    one = Token(OWN, tokens.digest(TEXT).hex(), 0.0)
    assert one.is_of(TEXT)
    assert not one.is_of(tokens.made()[1])
    assert TEXT.split("_")[2] not in f"{one!r}{one}{one.sha256}"


@given(st.one_of(st.text(max_size=80), st.from_regex(tokens.PATTERN, fullmatch=True)))
def test_no_other_text_is_a_token(text):
    """Whatever is sent is a token or is refused with words that do not hold it."""
    try:
        own = tokens.id_of(text)
    except TokenError as error:
        assert len(text) < 20 or text not in str(error)
    else:
        assert text.startswith(f"taba_{own}_")
        assert text[-tokens.CHECK_LENGTH :] == tokens._check(text[: -tokens.CHECK_LENGTH])


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(tokens.DIGITS))
def test_a_mistyped_token_is_told_as_one(place, letter):
    """Any one letter that is another breaks the check."""
    other = TEXT[:place] + letter + TEXT[place + 1 :]
    if other != TEXT:
        with pytest.raises(TokenError):
            tokens.id_of(other)


@given(st.binary(max_size=200))
def test_a_field_of_any_bytes_is_a_token_or_none(raw):
    """The field Authorization may hold anything."""
    found = given_bearer(raw)
    assert found is None or isinstance(found, str)


def test_secrets_in_texts_are_masked():
    """As a log has them."""
    assert tokens.masked(f"a {TEXT}, b") == f"a taba_{OWN}_…, b"


def test_the_file_is_for_its_owner_and_whole(tmp_path):
    """Mode 0600, replaced at once, by many at the same time, and no secret in it."""
    file = tmp_path / "new" / "tokens"
    texts: list[str] = []
    makers = [threading.Thread(target=lambda: texts.append(issue(file, read=True))) for _ in range(12)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {one.id for one in read(file)} == set(map(tokens.id_of, texts))
    assert not any(text.split("_")[2] in file.read_text() for text in texts)
    revoke(file, texts[0])
    assert len(read(file)) == 11
    assert [path.name for path in file.parent.iterdir() if not path.name.endswith(".lock")] == ["tokens"]


@pytest.mark.parametrize("text", ["", "[]", '{"tokens": [{}]}', '{"tokens": 1}', '{"token": []}', "\xff", "{" * 5000])
def test_a_file_that_is_none_is_told(tmp_path, text):
    """With its name, and without a traceback."""
    file = tmp_path / "tokens"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(TokensError, match="tokens"):
        read(file)


def test_a_file_that_others_may_write_is_not_trusted(tmp_path):
    file = tmp_path / "tokens"
    issue(file, read=True)
    file.chmod(0o666)
    with pytest.raises(TokensError, match="chmod 600"):
        read(file)


def test_a_failed_change_leaves_the_file(tmp_path):
    file = tmp_path / "tokens"
    issue(file, read=True)
    before = file.read_bytes()
    with pytest.raises(ZeroDivisionError), changing(file) as known:
        known.clear()
        raise ZeroDivisionError
    assert file.read_bytes() == before


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_tokens_come_and_go_without_a_restart(tmp_path):
    """A new one and an old one are good together until the old one is revoked or its time is over."""
    file, clock = tmp_path / "tokens", Clock()
    old = issue(file, read=True)
    keys = Keys(file, clock, clock)
    short = issue(file, read=True, expires=1030.0)
    assert keys.find(short) is None
    clock.now += LOOK_SECONDS
    assert keys.find(short).id == tokens.id_of(short)
    assert keys.find(old).id == tokens.id_of(old)
    clock.now += 30
    assert keys.find(short) is None
    revoke(file, old)
    clock.now += LOOK_SECONDS
    assert keys.find(old) is None


def test_a_lost_or_broken_file_opens_nothing(tmp_path, caplog):
    """Whatever becomes of the file, who was kept out stays out; and an empty list lets nobody in."""
    file, clock = tmp_path / "tokens", Clock()
    text = issue(file, read=True)
    keys = Keys(file, clock, clock)
    gate = Gate(keys)
    file.write_text("no longer")
    clock.now += LOOK_SECONDS
    assert gate.enter(text, Scope.READ).id == tokens.id_of(text)
    file.unlink()
    clock.now += LOOK_SECONDS
    assert gate.locked
    assert keys.find(text) is not None
    assert "stay as they were" in caplog.text
    file.write_text('{"tokens": []}')
    clock.now += LOOK_SECONDS
    for given_text in (None, text):
        with pytest.raises(LockedError):
            gate.enter(given_text, Scope.READ)


def test_the_first_token_locks_a_door_that_was_open(tmp_path):
    file, clock = tmp_path / "tokens", Clock()
    gate = Gate(Keys(file, clock, clock))
    assert gate.enter(None, Scope.ADMIN) is None
    issue(file, read=True)
    clock.now += LOOK_SECONDS
    with pytest.raises(LockedError, match="needs a token"):
        gate.enter(None, Scope.READ)


def test_the_token_of_what_runs_inside_is_in_no_file(tmp_path):
    file = tmp_path / "tokens"
    issue(file, read=True)
    keys = Keys(file)
    inner = keys.inner()
    assert keys.find(inner).write == ("*",)
    assert tokens.id_of(inner) not in file.read_text()


def test_rates_hold_in_the_mean_and_come_back():
    """Ten seconds of as much as is let in are ten seconds' worth, and one second more of what was saved."""
    clock = Clock()
    meters, one = Meters(clock), token(requests_per_s=50)
    taken = 0
    for _ in range(1000):
        clock.now += 0.01
        taken += meters.admit(one) is None
    assert 500 <= taken <= 551
    over = next(over for _ in range(100) if (over := meters.admit(one)) is not None)
    clock.now += over.seconds
    assert meters.admit(one) is None


@given(st.floats(0.01, 1e6), st.lists(st.floats(0, 1e9), max_size=20))
def test_a_bucket_never_shuts_out_for_long(rate, amounts):
    """Whatever was taken, a minute later there is something again; never more than a second's worth at once."""
    bucket = Bucket(rate, max(rate, 1.0), 0.0)
    for amount in amounts:
        bucket.take(amount)
    assert bucket.lacks(0.0) <= 60.1 + 1.0 / rate
    assert bucket.lacks(61.0 + 2.0 / rate) == 0.0
    assert bucket.level <= max(rate, 1.0)


def test_a_large_request_is_let_in_and_paid_for():
    clock = Clock()
    meters, one = Meters(clock), token(bytes_per_s=1000)
    assert meters.admit(one) is None
    meters.charge(one, "bytes_per_s", 5000)
    assert meters.admit(one).limit == "bytes_per_s"
    clock.now += 5
    assert meters.admit(one) is None


def test_rates_that_change_hold_at_once():
    clock = Clock()
    meters = Meters(clock)
    assert meters.admit(token(requests_per_s=1)) is None
    assert meters.admit(token(requests_per_s=1)) is not None
    assert meters.admit(token(requests_per_s=100)) is None
    assert meters.admit(token()) is None


def test_patterns_are_over_tabs_and_clients():
    own = patterns(token(write=("web.*", "bids{exchange=fb*}"), clients=("web-*",)))
    assert all(map(own.takes_tab, ("web.a", "web.a{x=1}", "bids{exchange=fbx,z=1}", "bids{z=1,exchange=fbx}")))
    assert not any(map(own.takes_tab, ("db.a", "web", "awebb.x", "bids", "bids{exchange=rub}", "db.a{x=web.a}")))
    assert own.takes_client("web-1")
    assert not own.takes_client("db-web-1")
    assert patterns(token(write=("*",))).are_any
    assert not patterns(token(write=("*",), clients=())).takes_client("a")


def test_origins():
    """A page's own origin may write, and a program, which has none."""
    assert not is_foreign(None, "a:1", None)
    assert not is_foreign("http://a:1", "a:1", "same-origin")
    assert not is_foreign("https://taba.example", "taba.example:443", None)
    for origin in ("http://evil", "null", "http://a:2", "file://", "http://a:1.evil", "http://[", "ftp://a:1"):
        assert is_foreign(origin, "a:1", None), origin
    assert is_foreign(None, "a:1", "cross-site")
    assert is_foreign(None, "a:1", "same-site")
    assert not is_told_own(None, "a:1", None)
    assert is_told_own("http://a:1", "a:1", None)


def test_credentials_are_found_and_not_shown(tmp_path):
    """What is given, else a variable, else, for a person, the file; which may change meanwhile."""
    environ = {"HOME": str(tmp_path), "TABA_TOKEN": "of-a-variable"}
    assert of_environment(environ, token="given").headers() == bearer("given")
    assert of_environment(environ).headers() == bearer("of-a-variable")
    file = tmp_path / ".config/taba/token"
    file.parent.mkdir(parents=True)
    file.write_text("of-a-file\n")
    assert of_person(environ).headers() == bearer("of-a-variable")
    del environ["TABA_TOKEN"]
    assert of_environment(environ).headers() == {}
    person = of_person(environ)
    assert person.headers() == bearer("of-a-file")
    file.write_text("of-a-file-later")
    assert person.headers() == bearer("of-a-file-later")
    file.unlink()
    assert person.headers() == bearer("of-a-file-later")
    assert "of-a" not in f"{person!r}{person}"
    with pytest.raises(ValueError, match="copy it again") as told:
        Credentials("line\r\nbreak")
    assert "break" not in str(told.value)
