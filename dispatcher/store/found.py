"""What a list found, and what of it cannot be read: neither hides the other."""

from typing import Generic, NamedTuple, TypeVar

from ..errors import PartlyUnreadable

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """`rows` in order; `unreadable`: by id or name, why it is not among them."""

    rows: list[T]
    unreadable: dict[str, str]

    def whole(self, what: str, remedy: str) -> list[T]:
        """The rows, when all could be read. Raises PartlyUnreadable, which has them too."""
        if self.unreadable:
            raise PartlyUnreadable(what, self.unreadable, self.rows, remedy)
        return self.rows
