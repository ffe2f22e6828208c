"""Pickles: turn a pickle into plain values; what it names is not imported, and what it wants called is not called."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, cast

_MOST_OPCODES = 2_750_000  # of all pickles of a file: three for each word of a vocabulary, of at most 100 bytes each
_LONGEST_NAME = 100  # characters
_MOST_ARGUMENTS = 8  # of a call, which are copied for it; torch's have seven
_MOST_BITS = 64  # of a number that is a key: a memo gives a long one many times, and each would be written anew


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function that a pickle names, or what a call of it would return; only the name is known."""

    name: str
    """Such as `collections.OrderedDict`."""


class Unpickler:
    """Makes the object of a pickle: dicts, lists, tuples, texts, numbers, and what these functions return.

    Dicts have texts for keys, as numbers are written; entries with other keys (also numbers of more than 64 bits) and
    attributes of objects are left out.
    So only texts are hashed and nothing is copied: the memory is in proportion to the length of the pickle.

    Args:
        named: Called with each name in the pickle; raises an error for one that may not be there.
        persistent: Returns what the pickle refers to by an identity.
        made: Functions by name that return what a call would, given its first eight arguments; other calls return
            `Named`.
    """

    def __init__(
        self,
        *,
        named: Callable[[str], None],
        persistent: Callable[[object], object],
        made: Mapping[str, Callable[..., object]],
    ) -> None:
        self._check_name, self._persistent, self._functions = named, persistent, made
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._left = _MOST_OPCODES

    def load(self, file: IO[bytes]) -> object:
        """Return the object of the pickle at the file's place, and leave the file behind the pickle's end.

        Raises:
            Exception: The pickle is damaged, too long, or has opcodes that `torch.save` does not write.
        """
        self._stack, self._marks, self._memo = [], [], {}
        read = cast("IO[bytes]", _WithoutClaims(file))
        walked: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]] = pickletools.genops(read)
        for opcode, argument, _ in walked:
            self._left -= 1
            if self._left < 0:
                raise ValueError("its pickles are too long: save the state dict alone")
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in _VALUES:
                self._stack.append(argument)
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            else:
                raise ValueError(f"its pickle has the opcode {opcode.name}")
        raise ValueError("its pickle has no end")

    def _mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def _since(self, start: int) -> list[Any]:
        """Take what lies on the stack from a place on."""
        if not 0 <= start <= len(self._stack):
            raise ValueError("its pickle takes what it does not have")
        above = self._stack[start:]
        del self._stack[start:]
        return above

    def _taken(self, count: int | None) -> list[Any]:
        """Take so many values, or with None those above the last mark."""
        return self._since(self._marks.pop() if count is None else len(self._stack) - count)

    def _remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._remember(len(self._memo))

    def _recall(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def _new(self, _: object, *, value: Callable[[], object]) -> None:
        self._stack.append(value())

    def _tuple(self, _: object, *, count: int | None) -> None:
        self._stack.append(tuple(self._taken(count)))

    def _append(self, _: object, *, count: int | None) -> None:
        values = self._taken(count)
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)

    def _set(self, _: object, *, count: int | None) -> None:
        values = self._taken(count)
        if isinstance(self._stack[-1], dict):
            put(self._stack[-1], zip(values[::2], values[1::2], strict=True))

    def _name(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        self._check_name(name)
        self._stack.append(Named(name))

    def _name_of_texts(self, _: object) -> None:
        module, name = self._taken(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("its pickle has a name that is no text")
        if len(module) + len(name) > _LONGEST_NAME:  # a memo gives a long text many times
            raise ValueError("its pickle has a name that is too long")
        self._name(f"{module}.{name}")

    def _replace(self, _: object, *, name: str) -> None:
        """Put a name in place of the values above the last mark."""
        self._taken(None)
        self._stack.append(Named(name))

    def _refer(self, _: object) -> None:
        self._stack.append(self._persistent(*self._taken(1)))

    def _call(self, _: object) -> None:
        function, arguments = self._taken(2)
        name = function.name if isinstance(function, Named) else "call"
        if name in self._functions and isinstance(arguments, tuple):
            self._stack.append(self._functions[name](*arguments[:_MOST_ARGUMENTS]))
        else:
            self._stack.append(Named(name))

    def _nothing(self, _: object) -> None:
        """Pass over the protocol or a frame."""

    def _build(self, _: object) -> None:
        self._taken(1)


class _WithoutClaims:
    """A file that is read as far as it goes: Python would first take the memory of all bytes that are asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        place = file.tell()
        self._left = file.seek(0, io.SEEK_END) - place
        file.seek(place)
        self._file, self.readline = file, file.readline

    def read(self, count: int) -> bytes:
        """Read so many bytes, or as many as there are."""
        return self._file.read(min(count, self._left))


def put(target: dict[str, Any], pairs: Iterable[tuple[object, object]]) -> None:
    """Put those entries into a dict whose keys are texts or numbers of at most 64 bits."""
    for key, value in pairs:
        if isinstance(key, str) or (isinstance(key, int) and key.bit_length() <= _MOST_BITS):
            target[str(key)] = value


_VALUES = {
    *("NONE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
}
_STEPS: dict[str, Callable[[Unpickler, Any], None]] = {
    "PROTO": Unpickler._nothing,
    "FRAME": Unpickler._nothing,
    "MARK": Unpickler._mark,
    "NEWTRUE": partial(Unpickler._new, value=lambda: True),
    "NEWFALSE": partial(Unpickler._new, value=lambda: False),
    "EMPTY_LIST": partial(Unpickler._new, value=list),
    "EMPTY_DICT": partial(Unpickler._new, value=dict),
    "EMPTY_TUPLE": partial(Unpickler._new, value=tuple),
    "EMPTY_SET": partial(Unpickler._new, value=lambda: Named("builtins.set")),
    "FROZENSET": partial(Unpickler._replace, name="builtins.frozenset"),
    "ADDITEMS": partial(Unpickler._append, count=None),
    "TUPLE1": partial(Unpickler._tuple, count=1),
    "TUPLE2": partial(Unpickler._tuple, count=2),
    "TUPLE3": partial(Unpickler._tuple, count=3),
    "TUPLE": partial(Unpickler._tuple, count=None),
    "APPEND": partial(Unpickler._append, count=1),
    "APPENDS": partial(Unpickler._append, count=None),
    "SETITEM": partial(Unpickler._set, count=2),
    "SETITEMS": partial(Unpickler._set, count=None),
    "GLOBAL": Unpickler._name,
    "STACK_GLOBAL": Unpickler._name_of_texts,
    "BINPERSID": Unpickler._refer,
    "REDUCE": Unpickler._call,
    "NEWOBJ": Unpickler._call,
    "BUILD": Unpickler._build,
    "BINPUT": Unpickler._remember,
    "LONG_BINPUT": Unpickler._remember,
    "MEMOIZE": Unpickler._memoize,
    "BINGET": Unpickler._recall,
    "LONG_BINGET": Unpickler._recall,
}
