"""Pickles: walk a pickle without loading it, and find what no state dict of an encoder holds."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

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


def foreign_global(file: IO[bytes]) -> str | None:
    """Walk the pickle at the file's place, to behind its end or to the first name that no state dict holds.

    What passes takes memory in proportion to its length. For that, a container that the pickle fetches again from its
    memo may stand in lists and as a value in dicts, but not where it would be copied, hashed, or doubled in tuples.

    Returns:
        That name, such as `builtins.bytearray`; None if there is none.

    Raises:
        ValueError: It is no pickle, is too long, or is built as no state dict is.
        LookupError: It takes from its stack or memo what is not there.
    """
    levels: list[int] = []  # of each value on the stack: 0, or of a container the levels of tuples in it, from 1
    marks: list[int] = []
    memo: dict[int, int] = {}
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
            marks.append(len(levels))
        elif name.endswith("BINPUT"):
            memo[argument] = levels[-1]
        elif name.endswith("BINGET"):
            levels.append(_TOO_DEEP if memo[argument] else 0)
        else:
            has_mark = pickletools.markobject in before
            fixed = before.index(pickletools.markobject) if has_mark else len(before)
            start = (marks.pop() if has_mark else len(levels)) - fixed
            if start < 0:
                raise LookupError("its pickle takes what it does not have")
            taken = levels[start:]
            del levels[start:]
            if opcode.stack_after:
                levels.append(_level(name, taken))
    raise ValueError("its pickle is too long")


def _level(name: str, taken: list[int]) -> int:
    """Return the level of what an opcode makes of the values that it takes; raise `ValueError` for what is too deep."""
    is_item = name.startswith("SETITEM")
    copied = taken[1::2] if is_item else taken if name == "BUILD" or name.startswith(("TUPLE", "REDUCE")) else ()
    deepest = max(copied, default=0)
    if deepest >= _TOO_DEEP:
        raise ValueError("its pickle repeats what it holds, or nests it too deeply")
    if is_item or name in ("BUILD", "APPEND", "APPENDS"):
        return taken[0]
    if name.startswith("TUPLE"):
        return deepest + 1
    return 1 if name in ("REDUCE", "EMPTY_LIST", "EMPTY_DICT") else 0
