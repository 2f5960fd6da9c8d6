"""Parts of the server's answers, whichever protocol they came in."""

from typing import Any


def as_text(value: Any) -> str:
    """What was sent as text, or as something that prints as one; bytes that are no text are shown as they are."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def as_map(answer: Any) -> dict[str, Any]:
    """A map, which older protocols send as a flat list; empty for None."""
    if isinstance(answer, dict):
        return {as_text(name): value for name, value in answer.items()}
    flat = list(answer or ())
    return {as_text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
