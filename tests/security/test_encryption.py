"""TLS, and certificates on both sides: who has the right ones gets in, who has not is told what to do.

On redis-server alone: the Valkey of these tests is built without TLS.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dispatcher.cli import main
from dispatcher.clock import SystemClock
from dispatcher.errors import EncryptionRefused, ServerError, ServerUnreachable, SettingsError
from dispatcher.settings import read_settings
from dispatcher.store import Store
from dispatcher.store.snapshots import ServerSnapshots
from dispatcher.store.workers import Heartbeats
from tests.support.certificates import Certificates, Pair
from tests.support.servers import Server, free_port
from tests.support.stack import running
from workers import Functions

pytestmark = pytest.mark.redis


class Secure:
    """A server that wants certificates, and what a client needs for it."""

    def __init__(self, new_server: Callable[..., Server], folder: Path) -> None:
        self.certificates = Certificates(folder)
        self.own, self.port = self.certificates.pair("service"), free_port()
        pair = self.certificates.pair("server")
        settings = {
            "tls-port": str(self.port), "tls-cert-file": str(pair.certificate), "tls-key-file": str(pair.key),
            "tls-ca-cert-file": str(self.certificates.ca.certificate), "tls-auth-clients": "yes",
        }  # fmt: skip
        self.server = new_server("redis", settings=settings)

    def url(self, pair: Pair | None = None, ca: Path | None = None, *, host: str = "127.0.0.1") -> str:
        """The address with these files, as settings make it."""
        given = {"redis_url": f"rediss://{host}:{self.port}/0", "tls_ca": ca}
        given |= {"tls_cert": pair.certificate, "tls_key": pair.key} if pair else {}
        return read_settings(given).redis_url

    @property
    def right(self) -> str:
        """The address with all that is wanted."""
        return self.url(self.own, self.certificates.ca.certificate)


@pytest.fixture
def secure(new_server: Callable[..., Server], tmp_path: Path) -> Secure:
    return Secure(new_server, tmp_path)


async def refusal(url: str, kind: type[ServerError] = EncryptionRefused) -> str:
    """What a connection that fails says; all kinds of connections say as much."""
    async with Store(url) as store:
        with pytest.raises(kind) as refused:
            await store.link.check()
        with pytest.raises(kind) as in_a_script:
            await store.pools.create("default", "function")
    assert _without_numbers(in_a_script.value) == _without_numbers(refused.value)
    assert _without_numbers(in_a_thread(url)) == _without_numbers(refused.value)
    return str(refused.value)


def in_a_thread(url: str) -> ServerError:
    """What a heartbeat raises, whose connection does not try again."""
    beats = Heartbeats(url, "default", "w", 3)
    with pytest.raises(ServerError) as refused:
        beats.beat(0, (), {})
    beats.close()
    return refused.value


def _without_numbers(error: Exception) -> str:
    """What to do is in what follows the semicolon, where the reason is not known for sure."""
    return str(error).partition("; ")[2] or str(error)


async def test_with_the_right_certificates_everything_works(secure: Secure):
    functions = Functions()

    @functions.register
    async def greet() -> str:
        return "hello"

    async with running(secure.right) as stack:
        await stack.dispatcher()
        await stack.scheduler()
        await stack.worker(functions)
        run = await stack.client.publish("greet", delay=0.05)
        assert await stack.client.result(run, 20) == "hello"
        snapshots = ServerSnapshots(secure.right, SystemClock())
        assert [pool.name for pool in snapshots.read().pools] == ["default"]
        snapshots.close()


async def test_without_a_certificate_the_answer_says_how_to_give_one(secure: Secure):
    async with Store(secure.url(ca=secure.certificates.ca.certificate)) as store:
        with pytest.raises(ServerError, match=r"wants? a certificate of ours.*SLUICE_TLS_CERT"):
            await store.link.check()  # what the server says of it may be lost as it cuts the connection
    assert "SLUICE_TLS_CERT" in str(in_a_thread(secure.url(ca=secure.certificates.ca.certificate)))


async def test_a_server_that_nobody_vouches_for_is_not_talked_to(secure: Secure, tmp_path: Path):
    other = Certificates(tmp_path, "other")
    for ca in (other.ca.certificate, None):
        said = await refusal(secure.url(secure.own, ca))
        assert "its certificate is not trusted" in said
        assert "SLUICE_TLS_CA" in said


async def test_a_certificate_that_the_server_does_not_trust_is_refused(secure: Secure, tmp_path: Path):
    stranger = Certificates(tmp_path, "other").pair("stranger")
    url = secure.url(stranger, secure.certificates.ca.certificate)
    async with Store(url) as store:
        with pytest.raises(ServerError, match="trust our certificate.*SLUICE_TLS_CERT"):
            await store.link.check()
    assert "SLUICE_TLS_CERT" in str(in_a_thread(url))


async def test_a_certificate_for_another_name_is_refused(new_server: Callable[..., Server], tmp_path: Path):
    certificates, port = Certificates(tmp_path), free_port()
    pair = certificates.pair("elsewhere", host="DNS:elsewhere.example")
    new_server("redis", settings={
        "tls-port": str(port), "tls-cert-file": str(pair.certificate), "tls-key-file": str(pair.key),
        "tls-ca-cert-file": str(certificates.ca.certificate), "tls-auth-clients": "no",
    })  # fmt: skip
    url = read_settings({"redis_url": f"rediss://127.0.0.1:{port}/0", "tls_ca": certificates.ca.certificate}).redis_url
    assert "its certificate is for another name" in await refusal(url)


def test_a_port_without_tls_is_told(redis_url: str):
    assert "does it speak TLS at this port?" in str(in_a_thread(redis_url.replace("redis://", "rediss://")))


async def test_an_address_that_does_not_encrypt_gets_no_answer(secure: Secure):
    async with Store(f"redis://127.0.0.1:{secure.port}/0") as store:
        with pytest.raises(ServerUnreachable, match="rediss://"):
            await store.link.check()


def test_a_command_takes_its_certificates_from_the_environment(
    secure: Secure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_REDIS_URL", f"rediss://127.0.0.1:{secure.port}/0")
    monkeypatch.setenv("SLUICE_TLS_CA", str(secure.certificates.ca.certificate))
    assert run("status") in {5, 6}
    assert "SLUICE_TLS_CERT" in capsys.readouterr().err
    monkeypatch.setenv("SLUICE_TLS_CERT", str(secure.own.certificate))
    monkeypatch.setenv("SLUICE_TLS_KEY", str(secure.own.key))
    assert run("pool", "create", "default") == 0
    assert run("status") == 0


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tls_ca": "here"}, "the address does not encrypt"),
        ({"redis_url": "rediss://h/0", "tls_cert": "here"}, "go together"),
        ({"redis_url": "rediss://h/0", "tls_key": "here"}, "go together"),
        ({"redis_url": "rediss://h/0", "tls_ca": "nowhere"}, "tls_ca='nowhere': cannot be read"),
        ({"redis_url": "rediss://h/0?ssl_ca_certs=x", "tls_ca": "here"}, "has ssl_ca_certs, too"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    given: Mapping[str, str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("here").touch()
    with pytest.raises(SettingsError, match=why):
        read_settings(given)


def test_files_reach_sentinels_and_members_of_clusters_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("ca").touch()
    for kind, path in (("sentinel", "/main"), ("cluster", "")):
        settings = read_settings({"redis_url": f"rediss+{kind}://a,b{path}", "tls_ca": "ca"})
        assert settings.redis_url == f"rediss+{kind}://a,b{path}?ssl_ca_certs=ca"
