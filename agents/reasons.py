"""Why a pilot wants what it wants, in words for whoever reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

Words = Callable[[], str]
"""Finds one sentence; the same at each call."""


class Reasons(Mapping[str, str]):
    """A sentence per subject, which is put into words when it is read: a simulation reads none of thousands."""

    __slots__ = ("_words",)

    def __init__(self, words: Mapping[str, Words]) -> None:
        self._words = words

    def __getitem__(self, subject: str) -> str:
        return self._words[subject]()

    def __contains__(self, subject: object) -> bool:
        return subject in self._words

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)
