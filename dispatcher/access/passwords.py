"""Passwords of users: read from files, or made once. None is ever given on a command line."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from ..errors import InvalidInput


class Password(NamedTuple):
    """A password, and whether it was made just now and is known to nobody yet."""

    text: str
    is_new: bool


def make_password() -> str:
    """256 random bits, as text."""
    return secrets.token_hex(32)


def password_hash(password: str) -> str:
    """How an ACL rule names a password without telling it."""
    return "#" + hashlib.sha256(password.encode()).hexdigest()


def read_password(folder: Path, user: str) -> Password:
    """What `redis_<user>` of the folder holds; made there, readable by its owner alone, when it is missing.

    Raises InvalidInput for a file that is no line of text, or cannot be read or written.
    """
    file = folder / f"redis_{user}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = make_password()
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                opened.write(made)
        except FileExistsError:
            return Password(_one_line(file), is_new=False)
    except OSError as error:
        raise InvalidInput(f"the password file {file} cannot be read or written: {error.strerror}") from None
    return Password(made, is_new=True)


def _one_line(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text:
        raise InvalidInput(f"the password file {file} must hold one line, the password")
    return text
