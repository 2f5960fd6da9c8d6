"""Users of the server: looking at them, and making them so."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from ..errors import CredentialsRefused
from ..redaction import hide_passwords
from .link import Link


class AccessStore:
    """ACL commands, for a user who may give them. Methods raise ServerError; CredentialsRefused where it may not."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def password_hashes(self, user: str) -> list[str]:
        """The passwords of a user, as rules name them; none when there is no such user."""
        row = await self._send("ACL", "GETUSER", user)
        return [f"#{_text(hashed)}" for hashed in _fields(row).get("passwords", ())]

    async def lets_anybody_in(self) -> bool:
        """Whether `default` logs in without a password."""
        flags = {_text(flag) for flag in _fields(await self._send("ACL", "GETUSER", "default")).get("flags", ())}
        return {"on", "nopass"} <= flags

    async def set_user(self, words: Sequence[str]) -> None:
        """Send one ACL SETUSER."""
        await self._send(*words)

    async def save(self) -> bool:
        """Write the users to the server's ACL file; False when it has none."""
        try:
            await self._link.client.execute_command("ACL", "SAVE")
        except NoPermissionError as error:
            raise self._link.error(error) from error
        except ResponseError:
            return False
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return True

    async def _send(self, *words: str) -> Any:
        try:
            return await self._link.client.execute_command(*words)
        except NoPermissionError as error:
            where = hide_passwords(self._link.url)
            raise CredentialsRefused(
                f"the server at {where} forbids this user {' '.join(words[:2])}: apply as one who may, such as "
                "`default` before it is switched off, or put the lines into the server's ACL file"
            ) from error
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error


def _fields(row: Any) -> dict[str, Any]:
    """ACL GETUSER's answer as a map, whichever protocol; empty for None."""
    if isinstance(row, dict):
        return {_text(name): value for name, value in row.items()}
    flat = list(row or ())
    return {_text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
