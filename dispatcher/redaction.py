"""What must not be shown: passwords in addresses, values of keys that sound like secrets, control characters."""

import re

# It begins at `://`, not at the scheme: looking for one takes a second in 64 KB of `a.a.a.`, which a run may print.
_URL_PASSWORD = re.compile(r"://(?P<user>[^\s/?#@:]*):[^\s/?#]*@")
_QUERY_PASSWORD = re.compile(r"([?&](?:[a-z]+_)?password=)[^&\s'\"#]*", re.IGNORECASE)
_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|credential|authorization|cookie|api_?key|private_?key|_token$", re.IGNORECASE
)
# The claim token is a number that workers compare; hiding it would hide what a stale worker did.
_NOT_SECRET = frozenset({"token", "claim_token"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

HIDDEN = "***"


def hide_passwords(text: str) -> str:
    """Return the text with the password of every address in it replaced: `redis://user:***@host`, `?password=***`."""
    if "://" not in text:
        return text
    return _QUERY_PASSWORD.sub(rf"\g<1>{HIDDEN}", _URL_PASSWORD.sub(rf"://\g<user>:{HIDDEN}@", text))


def is_secret(key: str) -> bool:
    """Tell whether a value under this key must not be shown."""
    return key not in _NOT_SECRET and _SECRET_KEY.search(key) is not None


def without_controls(text: str, *, keep_lines: bool = False) -> str:
    r"""Return the text with control and direction characters written out (`\x1b`), so that it cannot drive a terminal.

    With `keep_lines`, line feeds and tabs stay, as a traceback needs them.
    """
    pattern = _CONTROL if keep_lines else _CONTROL_OR_BREAK
    return pattern.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
