"""Settings: each source overrules the one before it, and a mistake is named where it stands."""

from pathlib import Path

import pytest

from taba import config
from taba.config import ConfigError, load


@pytest.fixture
def toml(tmp_path):
    """Write a settings file and give its path."""

    def write(text: str) -> Path:
        file = tmp_path / "taba.toml"
        file.write_text(text)
        return file

    return write


def test_defaults_are_those_that_are_declared():
    settings = load(None, {"HOME": "/home/ann"})
    assert (settings.host, settings.port, settings.shards) == ("127.0.0.1", 8300, 8)
    assert settings.data == Path("/home/ann/.local/share/taba")
    assert settings.tiers.clients == ("1s for 2m", "1m for 2h", "1h for 2d")
    assert settings.limits.tabs == 1_000_000


def test_data_is_where_xdg_says():
    assert load(None, {"XDG_DATA_HOME": "/srv/data"}).data == Path("/srv/data/taba")
    assert config.default_file({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/taba/taba.toml")


def test_a_flag_overrules_a_variable_overrules_the_file(toml):
    file = toml("port = 1\ngather_ms = 1\ncache_mb = 1\nshards = 1")
    environ = {"TABA_GATHER_MS": "2", "TABA_CACHE_MB": "2", "TABA_SHARDS": ""}
    settings = load(file, environ, {"cache_mb": 3, "host": None})
    assert (settings.port, settings.gather_ms, settings.cache_mb) == (1, 2, 3)
    assert settings.shards == 1, "an empty variable is none"
    assert settings.host == "127.0.0.1", "a flag that is not given is none"


def test_every_kind_of_setting_can_be_a_variable():
    settings = load(
        None,
        {
            "TABA_LIMITS_TABS": "5",
            "TABA_HOST_METRICS": "false",
            "TABA_DATA": "/srv/taba",
            "TABA_LOG_LEVEL": "debug",
            "TABA_HANDLERS": "own.py, package.module:Type",
            "TABA_TIERS_FLEET": "1s for 2m,1m for 2h",
        },
    )
    assert settings.limits.tabs == 5
    assert settings.host_metrics is False
    assert settings.data == Path("/srv/taba")
    assert settings.log_level == "debug"
    assert settings.handlers == ("own.py", "package.module:Type")
    assert settings.tiers.fleet == ("1s for 2m", "1m for 2h")


def test_paths_in_a_file_start_at_its_folder(toml):
    file = toml('data = "store"\nhandlers = ["own.py", "/abs/other.py", "package.module:Type"]')
    settings = load(file, {})
    assert settings.data == file.parent / "store"
    assert settings.handlers == (str(file.parent / "own.py"), "/abs/other.py", "package.module:Type")


def test_the_agents_settings_stand_beside_the_servers(toml):
    """One file serves `taba up` and `taba agent`."""
    file = toml(
        'port = 9000\n[agent]\nport = 9001\nspool = "frames"\nsocket = "agent.sock"\n'
        'servers = ["10.0.0.5:8300", "http://10.0.0.6:8300", "http://10.0.0.5:8300"]\nretry_s = 3\n'
    )
    settings = load(file, {"TABA_AGENT_LANES": "3", "TABA_AGENT_RETRY_S": "0.5"}, {"agent.sync": False})
    agent = settings.agent
    assert (settings.port, agent.port, agent.lanes, agent.retry_s, agent.sync) == (9000, 9001, 3, 0.5, False)
    assert (agent.spool, agent.socket) == (file.parent / "frames", file.parent / "agent.sock")
    assert agent.servers == ("http://10.0.0.5:8300", "http://10.0.0.6:8300"), "each once, with its scheme"


def test_the_agents_spool_is_where_xdg_says():
    assert load(None, {"XDG_STATE_HOME": "/srv/state"}).agent.spool == Path("/srv/state/taba/spool")
    assert load(None, {"HOME": "/home/ann"}).agent.spool == Path("/home/ann/.local/state/taba/spool")


def test_the_agent_inside_has_a_switch_whose_variable_is_not_the_clients():
    """TABA_AGENT is an address that programs read."""
    switch = config.SETTINGS["inner_agent"]
    assert (switch.flag, switch.variable) == ("--agent", "TABA_INNER_AGENT")
    assert load(None, {"TABA_AGENT": "http://127.0.0.1:8279"}).inner_agent is True
    assert load(None, {"TABA_INNER_AGENT": "false"}).inner_agent is False


def test_no_two_settings_share_a_flag_or_a_variable():
    settings = list(config.SETTINGS.values())
    assert len({setting.flag for setting in settings}) == len(settings)
    variables = {setting.variable for setting in settings}
    assert len(variables) == len(settings)
    assert not variables & config.NOT_SETTINGS


def test_defaults_of_the_caller_give_way_to_all_else(toml):
    file = toml("port = 2")
    defaults = {"port": 1, "agent.port": 0}
    assert load(file, {}, defaults=defaults).port == 2
    assert load(file, {}, defaults=defaults).agent.port == 0
    assert load(file, {"TABA_AGENT_PORT": "8279"}, defaults=defaults).agent.port == 8279


def test_a_pattern_keeps_the_general_tiers_that_it_does_not_say(toml):
    file = toml(
        '[tiers]\nclients = ["1s for 1m"]\n'
        '[[tiers.patterns]]\nmatch = "audit.*"\nfleet = ["1m for 2d"]\n'
        '[[tiers.patterns]]\nmatch = "x"\nclients = ["1s for 5m"]'
    )
    first, second = load(file, {}).tiers.patterns
    assert (first.match, first.clients, first.fleet) == ("audit.*", ("1s for 1m",), ("1m for 2d",))
    assert (second.clients, second.fleet) == (("1s for 5m",), config.Tiers().fleet)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prt = 1", "taba.toml: prt is not a setting: did you mean port?"),
        ("tabs = 1", "taba.toml: tabs is not a setting: did you mean limits.tabs?"),
        ("[limits]\ntab = 1", "taba.toml: limits.tab is not a setting: did you mean limits.tabs?"),
        ("zzz = 1", "taba.toml: zzz is not a setting: the settings are host, port"),
        ("limits = 4", r"taba.toml: limits is 4: expected a table, \[limits\]"),
        ('port = "x"', "taba.toml: port is 'x': expected a whole number from 0 to 65535"),
        ("port = 70000", "taba.toml: port is 70000: expected a whole number from 0 to 65535"),
        ("host_metrics = 3", "taba.toml: host_metrics is 3: expected true or false"),
        ("data = 3", "taba.toml: data is 3: expected a path"),
        ('host = ""', "taba.toml: host is '': expected a text that is not empty"),
        ('log_level = "loud"', "taba.toml: log_level is 'loud': expected one of debug, error, info, warning"),
        ("handlers = [1]", r"taba.toml: handlers is \[1\]: expected a list of texts"),
        ("agent = true", r"taba.toml: agent is True: expected a table, \[agent\]"),
        ("[agent]\nprt = 1", "taba.toml: agent.prt is not a setting: did you mean agent.port?"),
        ("[agent]\nservers = []", r"taba.toml: agent.servers is \[\]: expected a list of 1 text or more"),
        ('[agent]\nservers = ["ftp://a"]', "taba.toml: agent.servers: 'ftp://a' is not an address"),
        ("[agent]\nretry_s = nan", "taba.toml: agent.retry_s is nan: expected a number from 0.1 to 3600"),
        ("[agent]\nretry_s = inf", "taba.toml: agent.retry_s is inf: expected a number from 0.1 to 3600"),
        ('[agent]\nfull = "wait"', "taba.toml: agent.full is 'wait': expected one of drop_oldest, refuse"),
        ('[agent]\nsocket = ""', "taba.toml: agent.socket is '': expected a path"),
        ("port =\nhost = 1", "taba.toml: is not TOML: .*line 1"),
        ("[tiers]\npatterns = 3", "taba.toml: tiers.patterns is 3: expected tables"),
        ("[[tiers.patterns]]\nmatsch = 1", r"taba.toml: tiers.patterns\[0\].matsch is not a setting"),
        ('[[tiers.patterns]]\nmatch = "audit{x"', r"taba.toml: tiers.patterns\[0\].match: 'audit{x' has no closing }"),
        ("[[tiers.patterns]]\nfleet = []", r"taba.toml: tiers.patterns\[0\].match is None: expected a glob"),
        (
            '[[tiers.patterns]]\nmatch = "a"\nfleet = ["x"]',
            r"taba.toml: tiers.patterns\[0\].fleet: 'x' is not a tier",
        ),
    ],
)
def test_a_mistake_in_a_file_names_file_key_value_and_what_is_expected(toml, text, told):
    with pytest.raises(ConfigError, match=told):
        load(toml(text), {})


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"TABA_PORT": "z"}, "TABA_PORT is 'z': expected a whole number from 0 to 65535"),
        ({"TABA_PRT": "1"}, "TABA_PRT is not a setting: did you mean TABA_PORT?"),
        ({"TABA_LIMIT_TABS": "1"}, "TABA_LIMIT_TABS is not a setting: did you mean TABA_LIMITS_TABS?"),
        ({"TABA_TIERS_CLIENTS": "1m"}, "TABA_TIERS_CLIENTS: '1m' is not a tier"),
    ],
)
def test_a_mistake_in_a_variable_names_it(environ, told):
    with pytest.raises(ConfigError, match=told):
        load(None, environ)


def test_variables_of_the_client_and_of_others_are_left_alone():
    load(None, dict.fromkeys(config.NOT_SETTINGS, "x") | {"TABA_SOMETHING_ELSE_ENTIRELY": "x"})


def test_a_mistake_in_a_flag_names_it():
    with pytest.raises(ConfigError, match="--limits-tabs is 0: expected a whole number, 1 or more"):
        load(None, {}, {"limits.tabs": 0})
    with pytest.raises(ConfigError, match="--agent-port is -1"):
        load(None, {}, {"agent.port": -1})
    with pytest.raises(ConfigError, match="--port is -1: expected a whole number from 0 to 65535"):
        load(None, {}, {"agent.port": -1}, group="agent")


@pytest.mark.parametrize(
    ("tiers", "told"),
    [
        ([], "is empty"),
        (["1s for 2m", "1s for 2h"], "each width must be a multiple of the one before it"),
        (["10s for 2m", "15s for 2h"], "each width must be a multiple of the one before it"),
        (["1s for 2h", "1m for 1h"], "each tier must be kept longer"),
    ],
)
def test_each_tier_must_be_made_of_the_one_before(tiers, told):
    with pytest.raises(ConfigError, match=told):
        load(None, {}, {"tiers.fleet": tiers})


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml", {})


def test_every_setting_is_explained():
    """The help of `taba up` is made of these texts."""
    assert all(setting.help and setting.expected() for setting in config.SETTINGS.values())
