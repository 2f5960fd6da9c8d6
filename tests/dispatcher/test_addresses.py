"""Addresses are taken apart, and a bad one is answered with what is wrong and what is wanted."""

import pytest

from dispatcher import Client
from dispatcher.addresses import read_address
from dispatcher.errors import InvalidInput, SettingsError
from dispatcher.redaction import hide_passwords
from dispatcher.settings import read_settings


def test_sentinels_and_the_service_they_watch():
    address = read_address("redis+sentinel://u:p%40w@one,[::1]:5000/sluice/3?sentinel_password=s%26t&client_name=x")
    assert address.kind == "sentinel"
    assert (address.hosts, address.service) == ((("one", 26379), ("::1", 5000)), "sluice")
    assert address.server("10.0.0.1", 1) == "redis://u:p%40w@10.0.0.1:1/3?client_name=x"
    assert address.sentinel("::1", 5000) == "redis://:s%26t@[::1]:5000?client_name=x"


def test_a_cluster_with_tls():
    address = read_address("rediss+cluster://:pw@one:7000,two?ssl_ca_certs=ca.pem")
    assert (address.kind, address.hosts) == ("cluster", (("one", 7000), ("two", 6379)))
    assert address.server("three", 7002) == "rediss://:pw@three:7002/0?ssl_ca_certs=ca.pem"


@pytest.mark.parametrize("url", ["redis://host", "rediss://host:1/2", "unix:///path?db=0"])
def test_one_server_is_left_as_it_is(url: str):
    assert read_address(url) == (url, "single", "", "", (), "", 0, "", "")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", "expected redis://"),
        ("redis+other://host", "expected redis://"),
        ("redis+sentinel://one,two", "does not name the service"),
        ("redis+sentinel://one,two/", "does not name the service"),
        ("redis+sentinel://one,,two/s", "number 2 of its hosts"),
        ("redis+sentinel://one:70000/s", "number 1 of its hosts"),
        ("redis+sentinel://:canary/s", "number 1 of its hosts"),
        ("redis+sentinel://u:canary#@one/s", "has a .#."),
        ("redis+sentinel://one/s#canary", "has a .#."),
        ("redis+sentinel://one/s/x", "no number of a database"),
        ("redis+sentinel://one/s?sentinel_secret=canary", "sentinel_secret is no parameter"),
        ("redis+cluster://one/3", "no other database than 0"),
        ("redis+cluster://one?db=3", "no other database than 0"),
        ("redis+cluster://one?sentinel_password=canary", "sentinel_password is no parameter"),
    ],
)
def test_a_bad_address_is_answered(url: str, why: str):
    with pytest.raises(InvalidInput, match=why) as refused:
        read_address(url)
    assert "canary" not in str(refused.value)
    with pytest.raises(InvalidInput, match=why):
        Client(url)
    with pytest.raises(SettingsError, match=f"redis_url=.*{why}"):
        read_settings({"redis_url": url})


def test_settings_put_the_login_before_all_hosts(tmp_path):
    (tmp_path / "password").write_text("p@w")
    given = {"redis_url": "redis+cluster://one,two:7000", "redis_username": "u"}
    settings = read_settings({**given, "redis_password_file": tmp_path / "password"})
    assert settings.redis_url == "redis+cluster://u:p%40w@one,two:7000"
    assert read_address(settings.redis_url).login == "u:p%40w@"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:canary@one:1,two:2/s?db=1&sentinel_username=x&sentinel_password=canary",
        "rediss+cluster://u:canary@one,two?ssl_password=canary",
    ],
)
def test_no_password_of_several_hosts_is_shown(url: str):
    assert hide_passwords(f"see {url}") == f"see {url}".replace("canary", "***")
