"""Opened: an opened corpus with its encoder, and what is opened or measured of it later."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.assets import AssetError, first_names
from core.corpus.captions import Captions
from core.corpus.images import Images
from core.encoding.matrix import EmbeddingMatrix, Embeddings
from core.encoding.row_files import BuildReport
from core.encoding.text_encoder import TextEncoder
from core.ranking.filters import Filter
from core.ranking.folds import Folder
from core.ranking.lexical import Lexical
from core.ranking.methods import AGAINST, CHOICES, METHODS, Choice, Method, shown_name
from core.ranking.rankers import Rankers, SecondEncoder
from core.ranking.ranking import Allowed, Searcher
from core.setup import Setup
from core.store.cache import Cache
from core.store.progress import Steps
from core.store.whole import is_damaged
from core.trust.all_captions import AllCaptions, InMemory
from core.trust.calibration import Calibration
from core.trust.figures import calibrate_and_measure
from core.trust.probing import MIN_CAPTIONS, probe
from core.trust.signals import SignalMeter
from core.trust.verdict import Judge

if TYPE_CHECKING:
    from core.ranking.masks import Masks  # pyarrow is slow to import

_SHORT_NAME = 4  # cells of the name of a second encoder in narrow columns


class Sample(NamedTuple):
    """The captions in memory, S of them: all captions of a corpus or, of a store, some."""

    captions: Captions
    matrix: EmbeddingMatrix
    rows: NDArray[np.int64] | None = None
    """Their rows in the store, ascending, (S,); None where they are all captions."""


class Opened:
    """An opened corpus with its encoder: N captions and their matrix (N, D); `report` tells how the matrix was opened.

    `second_matrix` is the name of the matrix of the second encoder, empty where there is none. Several corpora may be
    open at once, and several threads may use one.
    """

    def __init__(
        self,
        setup: Setup,
        cache: Cache,
        *,
        captions: Captions,
        text_encoder: TextEncoder,
        matrix: Embeddings,
        sample: Sample,
        searcher: Searcher,
        folds: Folder,
        report: BuildReport,
        second_matrix: str = "",
    ) -> None:
        self._second_matrix = second_matrix
        self.setup, self.cache, self.report = setup, cache, report
        self.captions, self.text_encoder, self.matrix = captions, text_encoder, matrix
        self.searcher, self.folds = searcher, folds
        self.sample = sample
        """What is mapped, and counted for the verdict."""
        self.rankers: Rankers | None = None
        """All methods; None before `open_methods`."""
        self.second: Opened | None = None
        """The same captions by a second encoder; None before `opening.open_second`, and where there is none."""
        self.judge: Judge | None = None
        """Judges answers by a calibration; None before one is loaded or measured."""
        self._lock = threading.Lock()

    @property
    def calibration(self) -> Calibration | None:
        """How far answers can be trusted; None before it is loaded or measured."""
        return None if self.judge is None else self.judge.calibration

    @property
    def captions_name(self) -> str:
        """Display name of the corpus."""
        return captions_name_of(self.setup, self.captions)

    is_sampled = False
    """Whether only a sample is in memory: then the encoder alone ranks all captions, and to draw one takes time."""

    @property
    def place(self) -> str:
        """Where the captions lie: a path, or an address."""
        return str(self.setup.assets.captions)

    def prepare(self, rows: Sequence[int]) -> None:
        """Read captions that will be asked for one by one, where that is faster; it may fail, then or now."""

    def check(self, among: Filter, masks: Masks) -> None:
        """Check that a filter asks for what these captions have; `masks` finds those in memory.

        Raises:
            FilterError: It does not.
        """
        masks.check(among)

    def allow(self, among: Filter, masks: Masks) -> Allowed:
        """Allow the captions that meet a filter; `masks` finds those in memory.

        Raises:
            FilterError: The filter asks for what these captions do not have.
        """
        return Allowed.by(masks.mask(among))

    def draw(self, rng: random.Random, allowed: Allowed | None, *, other_than: int | None) -> int | None:
        """Draw a random caption that has a known word and is allowed; `other_than` only if it is the only candidate.

        Returns:
            Its row; None where no such caption is allowed.

        Raises:
            AssetError: No caption has a known word.
        """
        can_be_drawn = np.ones(len(self.sample.matrix), bool)  # (N,)
        can_be_drawn[self.sample.matrix.sentences.wordless()] = False
        if not can_be_drawn.any():
            advice = "check that captions and vectors are of the same language"
            raise AssetError(self.place, "no caption has a word that the vectors know", advice=advice)
        if allowed is not None:
            can_be_drawn &= allowed.mask
        if other_than is not None and can_be_drawn.sum() > 1:
            can_be_drawn[other_than] = False
        rows = np.flatnonzero(can_be_drawn)  # (R,)
        return int(rows[rng.randrange(len(rows))]) if len(rows) else None

    def open_methods(self) -> Steps[Rankers]:
        """Open the methods other than `infersent`; index the words of the captions unless the cache holds the index.

        Raises:
            AssetError: The cache cannot be written.
        """
        captions, matrix = self.sample.captions, self.sample.matrix
        folder, sentences = matrix.folder / "lexical", matrix.sentences
        vectors = self.text_encoder.vocabulary.vectors
        if self.rankers is None:
            try:
                yield from Lexical.build(folder, captions.texts, sentences=sentences, vectors=vectors)
            except Exception:
                self.saved_calibration = None  # without the methods, nothing can be judged by it
                raise
        with self._lock:
            if self.rankers is None:
                lexical = Lexical(folder, sentences=sentences, vectors=vectors)
                self.rankers = self._rankers_of(lexical)
                self._set_second()
            return self.rankers

    def take_second(self, second: Opened) -> None:
        """Take the same captions by a second encoder as one more method."""
        with self._lock:
            self.second = second
            self._set_second()

    def encoder_of(self, method: Choice) -> Opened:
        """Return the second encoder for its own method, and the first for every other."""
        return self.second if method == AGAINST and self.second is not None else self

    def _set_second(self) -> None:
        if self.rankers is not None and self.second is not None:
            second = self.second
            self.rankers.second = SecondEncoder(second.sample.matrix, second.searcher, second.text_encoder)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that can rank these captions, with the second encoder once it is open."""
        return METHODS if self.second is None else (*METHODS, AGAINST)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What a user may choose to rank these captions by."""
        return (*self.methods, "auto")

    def open_calibration(self) -> Steps[None]:
        """Load the calibration that an earlier `calibrate` saved, if there is one, and judge by it from now on.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self.saved_calibration is not None:
            rankers = yield from self.open_methods()
            self.judge = self._judge_by(self.saved_calibration, rankers)

    def calibrate(self, *, again: bool = False) -> Steps[None]:
        """Measure how far answers can be trusted, unless a calibration exists and `again` is False.

        A corpus that cannot be measured is left as it is.

        Raises:
            AssetError: The cache cannot be written, or the device has too little memory for even one query.
        """
        if not again:
            yield from self.open_calibration()
        second = "" if self.second is None else self._second_matrix
        if (self._is_of_all(self.calibration) and not again) or self.why_unmeasured:
            return
        rankers = yield from self.open_methods()
        parts, everything = (self.sample.matrix, rankers, self.text_encoder), self._everything(rankers)
        measured = yield from probe(*parts, everything=everything, images=self.images)
        calibration = replace((yield from calibrate_and_measure(measured)), second=second)
        self.judge = self._judge_by(calibration, rankers)
        try:
            calibration.save(self._calibration_file)
        except AssetError as error:  # the calibration stays in use until the program ends
            self.cache.problems.append(f"the calibration could not be saved: {error.found}")

    @cached_property
    def saved_calibration(self) -> Calibration | None:
        """The calibration that an earlier `calibrate` saved; None for none, or for a damaged one, which is told."""
        saved = Calibration.load(self._calibration_file)
        if saved is None and is_damaged(self._calibration_file):
            again = "`infersent-tui calibrate` measures it again, and so does the explorer"
            self.cache.problems.append(f"the calibration of these captions is damaged and not used: {again}")
        return saved if saved is None or saved.second == self._second_matrix else saved.without(AGAINST)

    @property
    def is_all_saved(self) -> bool:
        """Whether a saved calibration has measured all methods that are open, so that `calibrate` only loads it."""
        return self._is_of_all(self.saved_calibration)

    def _is_of_all(self, calibration: Calibration | None) -> bool:
        return calibration is not None and (self.second is None or calibration.second == self._second_matrix)

    @cached_property
    def why_unmeasured(self) -> str:
        """Why there can be no calibration: no encoder, or fewer than `MIN_CAPTIONS` captions with known words."""
        if not self.text_encoder.can_encode:
            return "without an encoder"
        few = len(self.sample.matrix) - len(self.sample.matrix.sentences.wordless()) < MIN_CAPTIONS
        return "on so few captions" if few else ""

    def name_of(self, choice: Choice, *, short: bool = False) -> str:
        """Return the name of a method that people read, where `short` for narrow columns."""
        if choice == AGAINST and self.setup.second is not None:
            second = self.setup.second.model_name
            if second not in {*CHOICES, self.setup.model_name}:
                return second[:_SHORT_NAME] if short else second
        return shown_name(choice, given=not self.text_encoder.can_encode, short=short)

    def lacks(self, method: Method) -> str:
        """Say what a method lacks, without which it finds nothing for texts that are no captions; empty if nothing."""
        if method == "words" and self.setup.assets.vectors is None:
            return "words needs word vectors: start with --vectors FILE"
        if method == AGAINST:
            return f"no word of the query is known to {self.name_of(AGAINST)}"
        if method in ("infersent", "context") and not self.text_encoder.can_encode:
            return "these embeddings came without their encoder, so only captions can be queries; bm25 takes any text"
        return ""

    @cached_property
    def images(self) -> Images | None:
        """Image groups of the captions; None where too few images have several captions."""
        if self.sample.captions.groups is None:
            return None
        sentences = self.sample.matrix.sentences
        images = Images(self.sample.captions.groups, leave_out=sentences.wordless(), texts=sentences.texts)
        return images if images.suffice else None

    def problems(self) -> list[str]:
        """List what the user should know about the opened files, one sentence each."""
        problems, vectors, assets = self.problems_of_asking(), self.text_encoder.vocabulary.vectors, self.setup.assets
        name = "" if assets.vectors is None else assets.vectors.name
        if vectors.broken_lines:
            lines = "line of" if vectors.broken_lines == 1 else "lines of"
            problems.append(f"{vectors.broken_lines:,} broken {lines} {name} skipped")
        if vectors.missing_lines:
            problems.append(
                f"{name} is cut off: {vectors.missing_lines:,} words that its first line announces are "
                "missing; copy or download it again"
            )
        if wordless := len(self.sample.matrix.sentences.wordless()) - self.captions.empty:
            have = "caption has" if wordless == 1 else "captions have"
            problems.append(f"{wordless:,} {have} no known word: only bm25 and fused can find such captions")
        if self.text_encoder.is_loaded and (others := self.text_encoder.sentence_encoder.passed_over):
            weights, _ = self.setup.encoder_files()
            problems.append(f"{weights.name} also holds {first_names(others)}, which is no part of the encoder")
        if self.report.started_over:
            problems.append(f"an unfinished matrix could not be continued ({self.report.started_over}): started over")
        if self.second is not None:
            name = self.name_of(AGAINST)
            problems += [f"{name}: {problem}" for problem in self.second.problems() if problem not in problems]
        return problems

    def problems_of_asking(self) -> list[str]:
        """List those of `problems` that can arise while queries are answered."""
        problems, device = list(self.cache.problems), self.setup.device
        if device != "cpu" and (self.searcher.device == "cpu" or self.text_encoder.ran_out_of_memory):
            problems.append(
                f"{device} has too little free memory, or fails: queries are answered on the CPU, more slowly"
            )
        return problems

    @cached_property
    def _calibration_file(self) -> Path:
        """Its name depends on the image groups, since its folder, that of the matrix, does not."""
        groups = b"" if self.images is None else self.images.of.tobytes()
        return self.sample.matrix.folder / f"calibration-{hashlib.sha256(groups).hexdigest()[:16]}.json"

    def _rankers_of(self, lexical: Lexical) -> Rankers:
        """Return what ranks the captions."""
        return Rankers(self.sample.matrix, self.searcher, lexical)

    def _everything(self, rankers: Rankers) -> AllCaptions:
        """Return all captions, to be asked by test queries."""
        return InMemory(self.sample.matrix, self._meter(rankers))

    def _judge_by(self, calibration: Calibration, rankers: Rankers) -> Judge:
        """Return what judges by a calibration."""
        return Judge(calibration, self._meter(rankers), self.sample.matrix.sentences, self.name_of)

    def _meter(self, rankers: Rankers) -> SignalMeter:
        return SignalMeter(self.sample.matrix.rows, bm25=rankers.lexical.bm25, images=self.images)


def captions_name_of(setup: Setup, captions: Captions) -> str:
    """Return the display name of a corpus."""
    return "demo captions" if setup.assets.is_demo_captions else captions.name
