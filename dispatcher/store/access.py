"""Users of the server: looking at them, and making them so."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from ..errors import CredentialsRefused
from ..redaction import hide_passwords
from .link import Link
from .replies import as_map, as_text


class AccessStore:
    """ACL commands, for a user who may give them. Methods raise ServerError; CredentialsRefused where it may not."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def password_hashes(self, user: str) -> list[str]:
        """The passwords of a user, as rules name them; none when there is no such user."""
        row = await self._send("ACL", "GETUSER", user)
        return [f"#{as_text(hashed)}" for hashed in as_map(row).get("passwords", ())]

    async def lets_anybody_in(self) -> bool:
        """Whether `default` logs in without a password."""
        flags = {as_text(flag) for flag in as_map(await self._send("ACL", "GETUSER", "default")).get("flags", ())}
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
