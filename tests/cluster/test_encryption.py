"""With TLS and certificates on both sides, to sentinels, masters and members alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.errors import ServerError
from dispatcher.settings import read_settings
from dispatcher.store import Store
from tests.support.certificates import Certificates
from tests.support.processes import Children
from tests.support.servers import Server, free_port
from tests.support.stack import running
from tests.support.waiting import wait_until, wait_until_sync
from workers import Functions

pytestmark = pytest.mark.redis


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def _wanted(certificates: Certificates, port: int) -> dict[str, str]:
    pair = certificates.pair("server")
    return {
        "tls-port": str(port), "tls-cert-file": str(pair.certificate), "tls-key-file": str(pair.key),
        "tls-ca-cert-file": str(certificates.ca.certificate), "tls-auth-clients": "yes",
    }  # fmt: skip


@pytest.fixture
def sentinel(new_server: Callable[..., Server], children: Children, certificates: Certificates, tmp_path: Path) -> str:
    """The address of a sentinel over one master."""
    master, port = free_port(), free_port()
    server = new_server("redis", settings=_wanted(certificates, master))
    lines = [
        *(f"{name} {value}" for name, value in _wanted(certificates, port).items()),
        f"port 0\nbind 127.0.0.1\ndir {tmp_path}\ntls-replication yes",
        f"sentinel monitor sluice 127.0.0.1 {master} 1",
    ]
    config = tmp_path / "sentinel.conf"
    config.write_text("\n".join(lines) + "\n")
    children.start(server.program, config, "--sentinel")
    return f"rediss+sentinel://127.0.0.1:{port}/sluice"


@pytest.fixture
def member(new_server: Callable[..., Server], certificates: Certificates) -> str:
    """The address of a cluster of one."""
    port = free_port()
    settings = {"cluster-enabled": "yes", "cluster-port": str(free_port()), "tls-cluster": "yes"}
    server = new_server("redis", settings={**_wanted(certificates, port), **settings})
    server.call("CLUSTER ADDSLOTSRANGE", 0, 16383)
    wait_until_sync(lambda: "cluster_state:ok" in server.call("CLUSTER INFO"), description="the cluster serves")
    return f"rediss+cluster://127.0.0.1:{port}"


@pytest.mark.parametrize("form", ["sentinel", "member"])
async def test_a_run_goes_through(form: str, request: pytest.FixtureRequest, certificates: Certificates) -> None:
    url, own = request.getfixturevalue(form), certificates.pair("service")
    given = {"redis_url": url, "tls_ca": certificates.ca.certificate}
    right = read_settings({**given, "tls_cert": own.certificate, "tls_key": own.key}).redis_url
    functions = Functions()

    @functions.register
    async def add(a: int) -> int:
        return a + 1

    async def is_there() -> bool:
        async with Store(right) as store:
            try:
                await store.link.check()
            except ServerError:
                return False
            return True

    await wait_until(is_there, description="it is found", timeout=30)
    async with running(right) as stack:
        await stack.dispatcher()
        await stack.worker(functions)
        assert await stack.client.result(await stack.client.publish("add", {"a": 1}), 20) == 2
    async with Store(read_settings(given).redis_url) as store:
        with pytest.raises(ServerError):
            await store.link.check()
