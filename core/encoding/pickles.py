"""Pickles: walk a pickle without loading it, and find what no state dict of an encoder holds."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

_GLOBALS = re.compile(
    r"collections\.OrderedDict|torch\.(Size|device|[a-z]+\d+|\w+Storage)|torch\.nn\.parameter\.Parameter"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|parameter)"
)
_OPCODES = frozenset(
    "PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINSTRING "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS "
    "GLOBAL REDUCE BUILD BINPERSID BINGET LONG_BINGET BINPUT LONG_BINPUT".split()
)
_MOST_OPCODES = 1_000_000  # a state dict has some hundred; each takes about 100 bytes of memory, at most
_TOO_DEEP = 100  # levels of tuples within tuples


class _Item(NamedTuple):
    """What is known of a value on the stack or in the memo."""

    level: int = 0
    """How many levels of tuples are in it, itself included; 1 for another container, 0 for what is none."""
    text: str = ""
    """A text, or the third one of a tuple: of one that names a tensor's bytes, their key."""


def foreign_global(file: IO[bytes]) -> str | None:
    """Walk the pickle at the file's place, to behind its end or to the first name that no state dict holds.

    What passes takes memory in proportion to its length and to the bytes of tensors beside it. For that, a container
    that the pickle fetches again from its memo may stand in lists and as a value in dicts, but not where it would be
    copied, hashed, or doubled in tuples; and keys of tensors are numbers, of which torch takes no two for the same.

    Returns:
        That name, such as `builtins.bytearray`; None if there is none.

    Raises:
        ValueError: It is no pickle, is too long, or is built as no state dict is.
        LookupError: It takes from its stack or memo what is not there.
    """
    stack: list[_Item] = []
    marks: list[int] = []
    memo: dict[int, _Item] = {}
    walked: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]] = pickletools.genops(file)
    for opcode, argument, _ in islice(walked, _MOST_OPCODES):
        name, before = opcode.name, opcode.stack_before
        if name not in _OPCODES:
            raise ValueError(f"its pickle has the opcode {name}")
        if name == "STOP":
            return None
        if name == "GLOBAL" and not _GLOBALS.fullmatch(argument.replace(" ", ".")):
            return str(argument.replace(" ", "."))
        if name == "MARK":
            marks.append(len(stack))
        elif name.endswith("BINPUT"):
            memo[argument] = stack[-1]
        elif name.endswith("BINGET"):
            stack.append(memo[argument]._replace(level=_TOO_DEEP if memo[argument].level else 0))
        else:
            has_mark = pickletools.markobject in before
            fixed = before.index(pickletools.markobject) if has_mark else len(before)
            start = (marks.pop() if has_mark else len(stack)) - fixed
            if start < 0:
                raise LookupError("its pickle takes what it does not have")
            taken = stack[start:]
            del stack[start:]
            if opcode.stack_after:
                stack.append(_made(name, taken, argument))
    raise ValueError("its pickle is too long")


def _made(name: str, taken: list[_Item], argument: object) -> _Item:
    """Return what an opcode makes of the values that it takes; raise `ValueError` for what no state dict holds."""
    is_item, is_tuple = name.startswith("SETITEM"), name.startswith("TUPLE")
    copied = taken[1::2] if is_item else taken if is_tuple or name in ("REDUCE", "BUILD") else ()
    deepest = max((each.level for each in copied), default=0)
    if deepest >= _TOO_DEEP:
        raise ValueError("its pickle repeats what it holds, or nests it too deeply")
    if name == "BINPERSID" and not re.fullmatch("[0-9]+", taken[0].text):
        raise ValueError("its pickle names a tensor by no number")
    if is_item or name in ("BUILD", "APPEND", "APPENDS"):
        return taken[0]
    if is_tuple:
        return _Item(deepest + 1, taken[2].text if len(taken) > 2 else "")
    if isinstance(argument, str) and name != "GLOBAL":
        return _Item(text=argument)
    return _Item(level=int(name in ("REDUCE", "EMPTY_LIST", "EMPTY_DICT")))
