"""The `[[watches]]` of a file: what is taken, and how a mistake is told."""

import pytest

from taba.config import ConfigError, load
from taba.settings import Watch


@pytest.fixture
def toml(tmp_path):
    def write(text):
        file = tmp_path / "taba.toml"
        file.write_text(text)
        return file

    return write


def test_watches_are_read(toml):
    """With their actions; a command's relative path starts at the file's folder."""
    file = toml(
        'port = 1\n[[watches]]\nname = "slow pages"\nrule = "p99(request.ms) > 200 for 1m"\n'
        'webhook = "https://10.0.0.7:8443/alarm?key=1"\n'
        '[[watches]]\nname = "gone"\nrule = "absent(client web-*)"\ncommand = ["./alarm", "me"]\n'
        '[[watches]]\nname = "quiet"\nrule = "rate(orders) < 1"\ncommand = ["logger", "--id"]\n'
    )
    assert load(file, {}).watches == (
        Watch("slow pages", "p99(request.ms) > 200 for 1m", "https://10.0.0.7:8443/alarm?key=1"),
        Watch("gone", "absent(client web-*)", None, (str(file.parent / "alarm"), "me")),
        Watch("quiet", "rate(orders) < 1", None, ("logger", "--id")),
    )
    assert load(None, {}).watches == ()


GOOD = 'name = "a"\nrule = "count(x) > 1"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("watches = 3", "watches is 3: expected tables, each under [[watches]]"),
        ('[[watches]]\nrule = "count(x) > 1"', "watches[0].name is None: expected 1 to 100 printable characters"),
        ('[[watches]]\nname = "a{"', "watches[0].name is 'a{': expected"),
        ('[[watches]]\nname = "a"', "watches[0] (a): rule is None: expected a rule, as 'p99(request.ms) > 200 for 1m'"),
        (
            '[[watches]]\nname = "a"\nrule = "p99(request.ms > 3"',
            "watches[0] (a): rule 'p99(request.ms > 3': expected ')', not '> 3' (at character 16)",
        ),
        (f"[[watches]]\n{GOOD}[[watches]]\n{GOOD}", "watches[1].name is 'a': another watch has this name"),
        (f'[[watches]]\n{GOOD}webhok = "http://a"', "watches[0] (a): webhok is not a setting: did you mean webhook?"),
        (f'[[watches]]\n{GOOD}webhook = "ftp://a"', "webhook is 'ftp://a': expected a URL, as http://"),
        (f'[[watches]]\n{GOOD}webhook = "http://a:x/"', "webhook is 'http://a:x/': expected a URL"),
        (f'[[watches]]\n{GOOD}webhook = "http://me:pw@a/"', "without a password"),
        (f'[[watches]]\n{GOOD}command = "ls"', "command is 'ls': expected a list of texts"),
        (f'[[watches]]\n{GOOD}command = [""]', "command is ['']: expected a program first"),
    ],
)
def test_a_mistake_is_named_with_its_watch(toml, text, told):
    """The file, the watch, and what was expected."""
    with pytest.raises(ConfigError) as caught:
        load(toml(text), {})
    assert "taba.toml: watches" in str(caught.value)
    assert told in str(caught.value)
