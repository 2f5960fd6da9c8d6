"""Replies that are not known yet. The model compares a reply with what it has to be: a blank takes that down.

So the very lines that judge the real engine in tests/model say what the simulated server answers.
"""

from collections.abc import Iterator
from typing import Any


class Blank:
    """A reply of which each part is what it is compared with. `size` where the model iterates over its end."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, size: int = 0) -> None:
        self._size = size
        self._cells: dict[int, Any] = {}
        self._whole: Any = None

    def __eq__(self, other: object) -> bool:
        self._whole = other
        return True

    def __getitem__(self, index: int | slice) -> "Cell | Part":
        if isinstance(index, int):
            return Cell(self, index)
        return Part(self, index.start or 0, index.stop or self._size)

    def put(self, index: int, value: Any) -> None:
        """Take down a part."""
        self._cells[index] = value

    @property
    def value(self) -> Any:
        """The reply. AssertionError when the model left a part of it open."""
        if self._whole is not None:
            return self._whole
        assert sorted(self._cells) == list(range(len(self._cells))), f"the model says nothing of a part: {self._cells}"
        return [self._cells[index] for index in range(len(self._cells))]


class Cell:
    """One place of a reply."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, blank: Blank, index: int) -> None:
        self.blank, self.index = blank, index

    def __eq__(self, other: object) -> bool:
        self.blank.put(self.index, other)
        return True

    def __bool__(self) -> bool:
        return True  # `more`, which may be said at any time


class Part:
    """Some places of a reply."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, blank: Blank, start: int, stop: int) -> None:
        self._blank, self._start, self._stop = blank, start, stop

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, list)
        for index, value in enumerate(other, self._start):
            self._blank.put(index, value)
        return True

    def __iter__(self) -> Iterator[Cell]:
        return (Cell(self._blank, index) for index in range(self._start, self._stop))
