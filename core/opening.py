"""Opening: open a corpus from its files, in the one correct order."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from core.assets import AssetError, Assets
from core.corpus.captions import Captions
from core.corpus.images import Images
from core.corpus.table import ReadOptions
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile
from core.corpus.vectors import FORMAT as VECTORS_FORMAT
from core.corpus.vectors import WordVectors
from core.corpus.vocabulary import Vocabulary
from core.encoding.codes import RowCodes
from core.encoding.encoder import SentenceEncoder
from core.encoding.matrix import BuildReport, EmbeddingMatrix, Recipe
from core.encoding.text_encoder import TextEncoder
from core.encoding.weights import choose_device, choose_dtype, first_names, read_weights
from core.ranking.folds import Folds
from core.ranking.lexical import Lexical
from core.ranking.rankers import Rankers
from core.ranking.search import MatrixSearcher
from core.store.cache import Cache
from core.store.progress import Progress, Steps
from core.store.whole import is_whole
from core.trust.calibration import Calibration
from core.trust.figures import calibrate_and_measure
from core.trust.probing import MIN_CAPTIONS, probe
from core.trust.signals import SignalMeter
from core.trust.verdict import Judge

Need = Literal["matrix", "methods", "calibration"]
"""What `open_` opens: `matrix` suffices for `infersent`; `methods` adds the other methods; `calibration` adds the saved
calibration, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The files and settings that determine every answer; `choose` resolves `auto`."""

    assets: Assets
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""
    dtype: str = "float32"
    """Dtype in which captions are encoded, `float32` or `bfloat16`."""
    vocab_size: int | None = None
    """Number of leading words of the vector file that are used; None for all."""
    reading: ReadOptions = field(default_factory=ReadOptions)
    """What the user says about the captions file."""

    @classmethod
    def choose(
        cls,
        assets: Assets,
        *,
        device: str = "auto",
        dtype: str = "auto",
        vocab_size: int | None = None,
        reading: ReadOptions | None = None,
    ) -> Setup:
        """Make a setup, with `auto` resolved to what the machine supports.

        Raises:
            AssetError: The device is not available.
        """
        device = choose_device(device)
        dtype = choose_dtype(dtype, device)
        return cls(assets=assets, device=device, dtype=dtype, vocab_size=vocab_size, reading=reading or ReadOptions())

    @property
    def model_name(self) -> str:
        """Display name of the encoder."""
        return "demo encoder" if self.assets.is_demo_encoder else self.assets.weights.stem

    def load_encoder(self, word_dim: int) -> SentenceEncoder:
        """Load the sentence encoder for word vectors of width `word_dim`.

        Raises:
            AssetError: The weights cannot be used, or were trained with vectors of another width.
        """
        encoder = SentenceEncoder.load(self.assets.weights, device=self.device, dtype=self.dtype)
        if word_dim != encoder.word_dim:
            raise AssetError(
                self.assets.vectors,
                f"its vectors have {word_dim} numbers",
                expected=f"{encoder.word_dim}, as {self.assets.weights} says",
                advice="name the vectors that the weights were trained with: --vectors",
            )
        return encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The captions, and the folders of the results computed from the files, which may not exist yet."""

    captions: Captions
    recipe: Recipe
    """Everything that determines the matrix."""
    vec_file: VecFile
    vectors: Path
    """Folder of the converted word vectors."""
    matrix: Path
    """Folder of the matrix."""


def locate(setup: Setup, cache: Cache) -> Steps[Places]:
    """Read the captions and hash the other files, without converting, loading or encoding.

    Raises:
        AssetError: A file cannot be read or used.
    """
    assets = setup.assets
    weights = yield from cache.sha256(assets.weights)
    vectors, vec_file, folder = yield from _locate_vectors(setup, cache)
    yield Progress("reading captions", 0, 0, "")
    captions = Captions.read(assets.captions, options=setup.reading)
    recipe = Recipe(
        weights=weights,
        vectors=vectors,
        texts=Recipe.hash_texts(captions.texts),
        version=assets.version,
        tokenizer=Tokenizer(assets.version).name,
        vocab_size=setup.vocab_size or 0,
        dtype=setup.dtype,
    )
    matrix = cache.folder("matrix", recipe.key)
    return Places(captions=captions, recipe=recipe, vec_file=vec_file, vectors=folder, matrix=matrix)


def _locate_vectors(setup: Setup, cache: Cache) -> Steps[tuple[str, VecFile, Path]]:
    """Return the SHA-256 of the vectors that fit the weights, their file and the folder of the converted ones."""
    digest = yield from cache.sha256(setup.assets.vectors)
    vec_file = VecFile.choose(setup.assets.vectors, lambda: read_weights(setup.assets.weights).word_dim)
    if vec_file.member is not None:
        digest = hashlib.sha256(f"{digest} {vec_file.member}".encode()).hexdigest()
    return digest, vec_file, cache.folder("vectors", f"{digest[:32]}-{VECTORS_FORMAT}")


def open_text_encoder(setup: Setup, cache: Cache) -> Steps[TextEncoder]:
    """Open word vectors (converting new ones) and tokenizer; the weights are loaded when first needed.

    Raises:
        AssetError: The vectors cannot be used, or belong to another version of InferSent.
    """
    assets = setup.assets
    _, vec_file, folder = yield from _locate_vectors(setup, cache)
    yield from WordVectors.convert(vec_file, folder)
    vectors = WordVectors(folder, vocab_size=setup.vocab_size)
    try:
        vocabulary = Vocabulary(Tokenizer(assets.version), vectors)
    except ValueError as error:
        usual = {1: "glove.840B.300d.txt", 2: "crawl-300d-2M.vec"}[assets.version]
        raise AssetError(
            assets.vectors,
            f"has {error}",
            expected=f"the vectors of InferSent version {assets.version}: {usual} "
            "(not glove.6B, not crawl-300d-2M-subword.vec)",
            advice="name the right file with --vectors, or the right version with --model-version",
        ) from error
    return TextEncoder(vocabulary, lambda: setup.load_encoder(vectors.dim))


def open_(setup: Setup, cache: Cache, *, need: Need = "matrix") -> Steps[Opened]:
    """Open a corpus and what `need` names; encode its captions unless the cache holds their matrix.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """
    text_encoder = yield from open_text_encoder(setup, cache)
    start = time.perf_counter()
    places = yield from locate(setup, cache)
    captions, recipe, folder = places.captions, places.recipe, places.matrix
    if is_whole(folder, recipe.origin()):
        report = BuildReport(len(captions), len(captions), True, "")
    else:
        yield Progress("loading the encoder", 0, 0, "")
        encoder, vocabulary = text_encoder.sentence_encoder, text_encoder.vocabulary
        sentences = yield from vocabulary.sentences(captions.texts)
        about = f"{setup.model_name} · {_captions_name(setup, captions)} ({len(captions):,}) · {setup.dtype}"
        report = yield from EmbeddingMatrix.build(
            folder, recipe, sentences=sentences, vectors=vocabulary.vectors, encoder=encoder, about=about
        )
    matrix = EmbeddingMatrix(folder)
    if setup.device == "cpu" and RowCodes.supported():
        try:
            yield from matrix.open_codes()
        except AssetError as error:  # a full or read-only disk: search then reads the float16 rows
            cache.problems.append(f"search is slower, since its index could not be saved: {error.found}")
    report = replace(report, seconds=time.perf_counter() - start)
    opened = Opened(setup, cache, captions=captions, text_encoder=text_encoder, matrix=matrix, report=report)
    if need == "methods":
        yield from opened.open_methods()
    if need == "calibration":
        yield from opened.open_calibration()
    return opened


class Opened:
    """An opened corpus with its encoder: N captions and their matrix (N, D); `report` tells how the matrix was opened.

    Several corpora may be open at once, and several threads may use one.
    """

    def __init__(
        self,
        setup: Setup,
        cache: Cache,
        *,
        captions: Captions,
        text_encoder: TextEncoder,
        matrix: EmbeddingMatrix,
        report: BuildReport,
    ) -> None:
        self.setup, self.cache, self.report = setup, cache, report
        self.captions, self.text_encoder, self.matrix = captions, text_encoder, matrix
        self.searcher = MatrixSearcher(matrix, device=setup.device)
        self.folds = Folds(captions)
        self.rankers: Rankers | None = None
        """All methods; None before `open_methods`."""
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
        return _captions_name(self.setup, self.captions)

    def open_methods(self) -> Steps[Rankers]:
        """Open the methods other than `infersent`; index the words of the captions unless the cache holds the index.

        Raises:
            AssetError: The cache cannot be written.
        """
        folder, sentences = self.matrix.folder / "lexical", self.matrix.sentences
        vectors = self.text_encoder.vocabulary.vectors
        if self.rankers is None:
            yield from Lexical.build(folder, self.captions.texts, sentences=sentences, vectors=vectors)
        with self._lock:
            if self.rankers is None:
                lexical = Lexical(folder, sentences=sentences, vectors=vectors)
                self.rankers = Rankers(self.matrix, self.searcher, lexical)
            return self.rankers

    def open_calibration(self) -> Steps[None]:
        """Load the calibration that an earlier `calibrate` saved, if there is one, and judge by it from now on.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self.saved_calibration is not None:
            rankers = yield from self.open_methods()
            self.judge = Judge(self.saved_calibration, self._meter(rankers), self.matrix.sentences)

    def calibrate(self, *, again: bool = False) -> Steps[None]:
        """Measure how far answers can be trusted, unless a calibration exists and `again` is False.

        A corpus that is not `measurable` is left as it is.

        Raises:
            AssetError: The cache cannot be written, or the device has too little memory for even one query.
        """
        if not again:
            yield from self.open_calibration()
        if (self.calibration is not None and not again) or not self.measurable:
            return
        rankers = yield from self.open_methods()
        meter = self._meter(rankers)
        measured = yield from probe(self.matrix, rankers, self.text_encoder, meter=meter, images=self.images)
        calibration = yield from calibrate_and_measure(measured)
        self.judge = Judge(calibration, meter, self.matrix.sentences)
        try:
            calibration.save(self._calibration_file)
        except AssetError as error:  # the calibration stays in use until the program ends
            self.cache.problems.append(f"the calibration could not be saved: {error.found}")

    @cached_property
    def saved_calibration(self) -> Calibration | None:
        """The calibration that an earlier `calibrate` saved; None where there is none."""
        return Calibration.load(self._calibration_file)

    @cached_property
    def measurable(self) -> bool:
        """Whether enough captions have known words for a calibration: at least `MIN_CAPTIONS`."""
        return len(self.matrix) - len(self.matrix.sentences.wordless()) >= MIN_CAPTIONS

    @cached_property
    def images(self) -> Images | None:
        """Image groups of the captions; None where too few images have several captions."""
        if self.captions.groups is None:
            return None
        sentences = self.matrix.sentences
        images = Images(self.captions.groups, leave_out=sentences.wordless(), texts=sentences.texts)
        return images if images.suffice else None

    def problems(self) -> list[str]:
        """List what the user should know about the opened files, one sentence each."""
        problems, vectors, assets = self.problems_of_asking(), self.text_encoder.vocabulary.vectors, self.setup.assets
        if vectors.broken_lines:
            lines = "line of" if vectors.broken_lines == 1 else "lines of"
            problems.append(f"{vectors.broken_lines:,} broken {lines} {assets.vectors.name} skipped")
        if vectors.missing_lines:
            problems.append(
                f"{assets.vectors.name} is cut off: {vectors.missing_lines:,} words that its first line announces are "
                "missing; copy or download it again"
            )
        if wordless := len(self.matrix.sentences.wordless()) - self.captions.empty:
            have = "caption has" if wordless == 1 else "captions have"
            problems.append(f"{wordless:,} {have} no known word: only bm25 and fused can find such captions")
        if self.text_encoder.is_loaded and (others := self.text_encoder.sentence_encoder.passed_over):
            problems.append(f"{assets.weights.name} also holds {first_names(others)}, which is no part of the encoder")
        if self.report.started_over:
            problems.append(f"an unfinished matrix could not be continued ({self.report.started_over}): started over")
        return problems

    def problems_of_asking(self) -> list[str]:
        """List those of `problems` that can arise while queries are answered."""
        problems, device = list(self.cache.problems), self.setup.device
        if device != "cpu" and (self.searcher.device == "cpu" or self.text_encoder.ran_out_of_memory):
            problems.append(f"{device} has too little free memory: queries are answered on the CPU, more slowly")
        return problems

    @cached_property
    def _calibration_file(self) -> Path:
        """Its name depends on the image groups, since its folder, that of the matrix, does not."""
        groups = b"" if self.images is None else self.images.of.tobytes()
        return self.matrix.folder / f"calibration-{hashlib.sha256(groups).hexdigest()[:16]}.json"

    def _meter(self, rankers: Rankers) -> SignalMeter:
        return SignalMeter(self.matrix.rows, bm25=rankers.lexical.bm25, images=self.images)


def _captions_name(setup: Setup, captions: Captions) -> str:
    return "demo captions" if setup.assets.is_demo_captions else captions.name
