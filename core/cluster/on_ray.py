"""On Ray: the captions of many Parquet files are encoded by the machines of a Ray cluster, straight into a store."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError, first_names
from core.cluster.columns import Columns
from core.cluster.connection import Connection
from core.cluster.parts import Part, Parts, find_parts, name_of
from core.cluster.ray_cluster import RayCluster, joined
from core.cluster.schema import CAPTIONS, SAMPLE, UNCOUNTED, About
from core.cluster.workers import Job, Report, versions
from core.cluster.writing import alone, check_address, index_store, no_known_word
from core.cluster.written import look_at_parts
from core.encoding.recipe import Recipe
from core.encoding.weights import read_weights
from core.opening import locate_encoder
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import Progress, Steps

_MOST_FAILED = 1000  # captions; if more do, it is no fault of theirs
_KEPT = "what is finished is kept"
_ANEW = "delete it and begin anew"
_IN_NOTES = 3  # of them, on screen


@dataclass(frozen=True, slots=True)
class EncodedOnRay:
    """What was done."""

    about: About
    """The store."""
    parts: int
    earlier: int
    """Number of parts that an earlier run had finished."""
    lost: int
    """Number of processes that were lost and replaced."""


def encode_on_ray(
    setup: Setup, cache: Cache, pattern: str, connection: Connection, address: str, *, device: str, dtype: str
) -> Steps[EncodedOnRay]:
    """Encode captions into a store, and index it. What an interrupted run has written is not done again.

    Args:
        setup: The encoder's files, at the same paths on each machine.
        cache: The cache folder, on each machine its own.
        pattern: The Parquet files: a folder, also in a bucket, or a pattern of their names.
        connection: The store.
        address: The cluster's: HOST:PORT; `auto` for that of this machine, `local` for one of this machine alone.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto`, `float32` or `bfloat16`.

    Raises:
        AssetError: The cluster does not answer, a file cannot be used, or the store cannot be written; or parts are
            missing at the end. What is finished is kept.
    """
    yield Progress("reading the ends of the files", 0, 0, "")
    parts = find_parts(pattern)
    dim = read_weights(setup.encoder_files()[0]).dim
    columns = Columns.choose(parts, setup.reading, dim)
    yield _remark(f'{parts.rows:,} rows of {_files(parts)} · {columns.layout} · first: "{columns.first}"')

    def describe(setup: Setup) -> Steps[About]:
        recipe, _, _ = yield from locate_encoder(setup, cache)
        return _about(setup, pattern, parts, columns, replace(recipe, texts=parts.digest), dim)

    known = connection.about()
    if known is not None:  # that it is finished, or another store, is told without a cluster
        about = yield from describe(replace(setup, dtype=known.recipe.dtype if dtype == "auto" else dtype))
        check_address(known, about, connection.address)
        if known.is_finished:
            return (yield from _finished(known, parts))
    yield Progress(f"connecting to {address}", 0, 0, "")
    with ExitStack() as stack:
        with joined(address, device, dtype) as cluster:
            setup = replace(setup, device=cluster.device, dtype=cluster.dtype)
            about = yield from describe(setup)
            yield from stack.enter_context(alone(connection.address))
            known = connection.about()
            check_address(known, about, connection.address)
            if known is not None and known.is_finished:  # by another program meanwhile
                return (yield from _finished(known, parts))
            if known is not None and known.order != about.order:
                found, advice = f"was begun otherwise: {known.order}", f"do the same, or {_ANEW}"
                raise AssetError(connection.address, found, expected=about.order, advice=advice)
            connection.begin(about, columns.kinds, again=known is None)
            job = Job(setup, cache.root, connection.address, about.recipe, versions(), columns, parts.rows)
            work = _Work(job, parts, connection, known or about)
            if work.earlier:
                yield _remark(f"going on: {work.earlier:,} of {len(parts.parts):,} parts are there")
            yield from work.run(cluster)
        yield from work.finish()
    return EncodedOnRay(connection.finished(), len(parts.parts), work.earlier, len(work.second))


def _finished(known: About, parts: Parts) -> Steps[EncodedOnRay]:
    if known.unread:
        yield _remark(f"the store was finished without some parts; to try them again, {_ANEW}")
    count = len(parts.parts)
    return EncodedOnRay(known, count, count - len(known.unread), 0)


def _about(setup: Setup, pattern: str, parts: Parts, columns: Columns, recipe: Recipe, dim: int) -> About:
    """Say what the store of the captions will be."""
    return About(
        recipe=recipe,
        name=name_of(pattern),
        model=setup.model_name,
        captions=parts.rows,
        dim=dim,
        images=None if columns.group is None else UNCOUNTED,
        layout=f"{columns.layout} · {_files(parts)}",
        notes=(),
        columns=columns.shown,
        details=hashlib.sha256(f"{parts.digest} {columns.told}".encode()).hexdigest(),
        order=f"{len(parts.parts):,} parts, by {versions()}",
    )


class _Work:
    """The parts of a job, done and still to be done."""

    def __init__(self, job: Job, parts: Parts, connection: Connection, about: About) -> None:
        self._job, self._connection, self._about = job, connection, about
        self._parts, self._rows = parts.parts, parts.rows
        self._written: NDArray[np.int64] = np.zeros(len(parts.parts), np.int64)  # captions of each part, (P,)
        self._empty: set[int] = set()  # parts without a caption that can be written
        self._unread: dict[int, str] = {}
        self.second: set[str] = set()
        """The processes that stand in for lost ones."""
        self._lost: dict[int, str] = {}  # why parts are not there that can be read
        self._look()
        self.earlier = int((self._written > 0).sum())

    def run(self, cluster: RayCluster) -> Steps[None]:
        """Encode the missing parts, as long as that makes them fewer.

        Raises:
            AssetError: The work cannot go on.
        """
        missing = self._missing()
        while missing:
            wanted = [part for part in missing if part.number not in self._unread]
            if wanted:
                yield from self._encode(wanted, cluster)
            before, missing = len(missing), self._look()
            if len(missing) == before:
                why = f"its processes were lost, at last by {cluster.last_error or 'a signal, or for want of memory'}"
                self._lost |= {part.number: why for part in missing}
                return

    def _encode(self, missing: Sequence[Part], cluster: RayCluster) -> Steps[None]:
        there = cluster.machines()
        for report in cluster.work_on(missing, self._job):
            now = cluster.machines()
            for name in sorted(there - now):
                yield _remark(f"machine {name} was lost: what it was doing is done again")
            there = now
            if report is not None:
                yield from self._take(report)
            of = f" on {len(there)} machine{'' if len(there) == 1 else 's'}"
            done = self._rows - sum(part.rows for part in self._missing())
            yield Progress(f"encoding captions{of}", done, self._rows, "captions")

    def _take(self, report: Report) -> Steps[None]:
        if report.error is not None:
            path, found, expected, advice = report.error
            kept = "" if _KEPT in advice else f"; {_KEPT}"
            raise AssetError(path, found, expected=expected, advice=advice + kept)
        if report.is_second and report.process not in self.second:
            self.second.add(report.process)
            yield _remark(f"a lost process was replaced by {report.process}")
        if report.unread:
            self._unread[report.part] = report.unread
            yield _remark(f"cannot be read: {self._parts[report.part]} ({report.unread})")
            return
        self._written[report.part] = report.written
        if not report.written:
            self._empty.add(report.part)
        for each in report.failed:
            yield _remark(f"left out: {each}")
        if report.failed:
            self._note(failed=tuple(dict.fromkeys((*self._about.failed, *report.failed))))
        if len(self._about.failed) > _MOST_FAILED:
            found = f"{len(self._about.failed):,} captions failed, the last one: {self._about.failed[-1]}"
            raise AssetError(self._connection.address, found, advice="find out why, then do it again in another store")

    def _note(self, **changes: Any) -> None:
        self._about = replace(self._about, **changes)
        self._connection.write_about(self._about)

    def _missing(self) -> list[Part]:
        return [part for part in self._parts if not self._written[part.number] and part.number not in self._empty]

    def _look(self) -> list[Part]:
        """Look which parts the store has, delete those that two processes have written, and return the missing ones."""
        firsts = np.array([part.first for part in self._parts])  # (P,), ascending

        def part_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.searchsorted(firsts, rows, side="right") - 1

        with self._connection.errors():
            table = self._connection.open(CAPTIONS)
            self._written, deleted = look_at_parts(table, part_of, rows=self._rows, parts=len(self._parts))
        self._lost |= dict.fromkeys(deleted, "two processes wrote it")
        return self._missing()

    def finish(self) -> Steps[None]:
        """Compact and index the store.

        Raises:
            AssetError: Parts are missing for the first time, or the store cannot be written.
        """
        missing, count = self._look(), int(self._written.sum())
        if missing and (not count or not {part.number for part in missing} <= set(self._about.unread)):
            self._note(unread=tuple(part.number for part in missing))
            raise self._missing_error(missing)
        if not count:
            raise no_known_word(self._connection.address)
        yield Progress("compacting the store", 0, 0, "")
        with self._connection.errors():
            table = self._connection.open(CAPTIONS)
            _mend_sample(table, count)
            with warnings.catch_warnings():  # of others that read it, and nobody does
                warnings.simplefilter("ignore")
                table.optimize(cleanup_older_than=timedelta(0))
        about = replace(self._about, captions=count, notes=self._notes(missing))
        yield from index_store(self._connection, table, about)

    def _missing_error(self, missing: Sequence[Part]) -> AssetError:
        """Describe that parts are missing."""
        why = self._lost | self._unread
        reasons = [f"{part} ({why.get(part.number, 'not done')})" for part in missing]
        found = f"{len(missing):,} of {len(self._parts):,} parts are missing: {first_names(reasons)}"
        advice = "mend that, such as by copying the same files again, then repeat the command, which does only these"
        if any("ImportError" in reason or "ModuleNotFoundError" in reason for reason in reasons):
            advice = "install the same version of this program on all machines, then repeat the command"
        return AssetError(self._connection.address, found, advice=f"{advice}; if that fails again, they are left out")

    def _notes(self, missing: Sequence[Part]) -> tuple[str, ...]:
        """Say what was left out, a phrase each."""
        failed, unread = len(self._about.failed), sum(part.rows for part in missing)
        wordless = max(0, self._rows - int(self._written.sum()) - failed - unread)
        notes = []
        if wordless:  # of a part that was written by a process that was lost, nobody knows which failed
            notes.append(f"{wordless:,} without a known word{', or not encoded,' if self.second else ''} left out")
        if failed:
            names = first_names(self._about.failed, _IN_NOTES)
            notes.append(f"{failed:,} that could not be encoded left out ({names})")
        if unread:
            notes.append(f"{unread:,} that could not be read left out ({first_names([str(part) for part in missing])})")
        return tuple(notes)


def _mend_sample(table: Any, n: int) -> None:
    """Choose the sample of N captions by their rows where whole groups, as of a topic, make it too large or small."""
    wanted, sampled = min(SAMPLE, n), table.count_rows("in_sample = true")
    if wanted / 2 <= sampled <= 2 * wanted:
        return
    chosen = f"row % {max(1, n // SAMPLE)} = 0"
    table.update(where=f"in_sample = true AND NOT {chosen}", values={"in_sample": False})
    table.update(where=f"in_sample = false AND {chosen}", values={"in_sample": True})
    if not table.count_rows("in_sample = true"):
        table.update(where="true", values={"in_sample": True})


def _files(parts: Parts) -> str:
    return f"{parts.files:,} file{'' if parts.files == 1 else 's'}"


def _remark(text: str) -> Progress:
    return Progress(text, 0, 0, "", is_remark=True)
