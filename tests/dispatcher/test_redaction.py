"""Passwords of addresses are not shown, wherever in an address they stand."""

import pytest

from dispatcher.errors import ServerUnreachable
from dispatcher.redaction import hide_passwords
from dispatcher.store import Store


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://user:canary@h:1/0", "redis://user:***@h:1/0"),
        ("redis://:canary@h", "redis://:***@h"),
        ("rediss://h/0?password=canary&ssl_cert_reqs=none", "rediss://h/0?password=***&ssl_cert_reqs=none"),
        ("unix:///s?db=1&PASSWORD=canary", "unix:///s?db=1&PASSWORD=***"),
        ("'redis://h?password=canary' is away", "'redis://h?password=***' is away"),
        ("redis://h?db=1 and a?b", "redis://h?db=1 and a?b"),
    ],
)
def test_a_password_is_hidden(address: str, shown: str):
    assert hide_passwords(f"see {address}") == f"see {shown}"


async def test_a_server_that_is_away_is_told_without_its_password():
    async with Store("unix:///no/such/socket?password=canary") as store:
        with pytest.raises(ServerUnreachable) as away:
            await store.link.check()
    assert "canary" not in str(away.value)
    assert "password=***" in str(away.value)
