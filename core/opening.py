"""Opening: open a corpus from its files, in the one correct order."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from core.assets import AssetError
from core.corpus.captions import Captions
from core.corpus.images import Images
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile
from core.corpus.vectors import FORMAT as VECTORS_FORMAT
from core.corpus.vectors import WordVectors
from core.corpus.vocabulary import Vocabulary
from core.encoding.codes import RowCodes
from core.encoding.given import read_embeddings
from core.encoding.matrix import BuildReport, EmbeddingMatrix, Recipe
from core.encoding.text_encoder import TextEncoder
from core.encoding.weights import first_names, read_weights
from core.ranking.folds import Folds
from core.ranking.lexical import Lexical
from core.ranking.methods import Choice, Method, shown_name
from core.ranking.rankers import Rankers
from core.ranking.search import MatrixSearcher
from core.setup import Setup
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
class Places:
    """The captions, and the folders of the results computed from the files, which may not exist yet."""

    captions: Captions
    recipe: Recipe
    """Everything that determines the matrix."""
    vec_file: VecFile | None
    """The word vectors; None where embeddings are given without any."""
    vectors: Path
    """Folder of the converted word vectors, or of the words of the captions."""
    matrix: Path
    """Folder of the matrix."""


def locate(setup: Setup, cache: Cache) -> Steps[Places]:
    """Read the captions and hash the other files, without converting, loading or encoding.

    Raises:
        AssetError: A file cannot be read or used.
    """
    assets, vec_file = setup.assets, None
    tokenizer = Tokenizer(assets.version).name
    source = yield from cache.sha256(assets.embeddings or setup.encoder_files()[0])
    if assets.vectors is not None:
        vectors, vec_file, folder = yield from _locate_vectors(setup, assets.vectors, cache)
    yield Progress("reading captions", 0, 0, "")
    captions = Captions.read(assets.captions, options=setup.reading)
    texts = Recipe.hash_texts(captions.texts)
    if vec_file is None:
        vectors = hashlib.sha256(f"{texts} {tokenizer}".encode()).hexdigest()
        folder = _vectors_folder(vectors, cache)
    recipe = Recipe(
        weights=source,
        vectors=vectors,
        texts=texts,
        version=assets.version,
        tokenizer=tokenizer,
        vocab_size=0 if vec_file is None else setup.vocab_size or 0,
        dtype=setup.dtype if assets.embeddings is None else "given",
    )
    matrix = cache.folder("matrix", recipe.key)
    return Places(captions=captions, recipe=recipe, vec_file=vec_file, vectors=folder, matrix=matrix)


def _locate_vectors(setup: Setup, path: Path, cache: Cache) -> Steps[tuple[str, VecFile, Path]]:
    """Return the SHA-256 of the vectors that fit the weights, their file and the folder of the converted ones."""
    digest = yield from cache.sha256(path)
    weights = setup.assets.weights
    vec_file = VecFile.choose(path, None if weights is None else lambda: read_weights(weights).word_dim)
    if vec_file.member is not None:
        digest = hashlib.sha256(f"{digest} {vec_file.member}".encode()).hexdigest()
    return digest, vec_file, _vectors_folder(digest, cache)


def _vectors_folder(digest: str, cache: Cache) -> Path:
    return cache.folder("vectors", f"{digest[:32]}-{VECTORS_FORMAT}")


def open_text_encoder(setup: Setup, cache: Cache) -> Steps[TextEncoder]:
    """Open word vectors (converting new ones) and tokenizer; the weights are loaded when first needed.

    Raises:
        AssetError: The vectors cannot be used, or belong to another version of InferSent.
    """
    _, vec_file, folder = yield from _locate_vectors(setup, setup.encoder_files()[1], cache)
    vocabulary = yield from open_vocabulary(setup, vec_file, folder)
    return TextEncoder(vocabulary, lambda: setup.load_encoder(vocabulary.vectors.dim))


def open_vocabulary(setup: Setup, vec_file: VecFile, folder: Path) -> Steps[Vocabulary]:
    """Open the word vectors that `folder` holds, converting them first if it does not, and the tokenizer.

    Raises:
        AssetError: The vectors cannot be used, or belong to another version of InferSent.
    """
    assets = setup.assets
    yield from WordVectors.convert(vec_file, folder)
    vectors = WordVectors(folder, vocab_size=setup.vocab_size)
    try:
        return Vocabulary(Tokenizer(assets.version), vectors)
    except ValueError as error:
        usual = {1: "glove.840B.300d.txt", 2: "crawl-300d-2M.vec"}[assets.version]
        raise AssetError(
            vec_file.path,
            f"has {error}",
            expected=f"the vectors of InferSent version {assets.version}: {usual} "
            "(not glove.6B, not crawl-300d-2M-subword.vec)",
            advice="name the right file with --vectors, or the right version with --model-version",
        ) from error


def open_(setup: Setup, cache: Cache, *, need: Need = "matrix") -> Steps[Opened]:
    """Open a corpus and what `need` names; encode its captions unless the cache holds their matrix.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """
    places = yield from locate(setup, cache)
    captions, recipe, folder, given = places.captions, places.recipe, places.matrix, setup.assets.embeddings
    if places.vec_file is not None:
        vocabulary = yield from open_vocabulary(setup, places.vec_file, places.vectors)
    else:
        tokenizer = Tokenizer(setup.assets.version)
        yield from WordVectors.of_texts(captions.texts, tokenizer, places.vectors)
        vocabulary = Vocabulary(tokenizer, WordVectors(places.vectors))
    load = (lambda: setup.load_encoder(vocabulary.vectors.dim)) if given is None else None
    text_encoder = TextEncoder(vocabulary, load)
    start = time.perf_counter()
    if is_whole(folder, recipe.origin()):
        report = BuildReport(len(captions), len(captions), True, "")
    else:
        about = f"{setup.model_name} · {_captions_name(setup, captions)} ({len(captions):,}) · {recipe.dtype}"
        if given is not None:
            rows = read_embeddings(given, len(captions))
            sentences = yield from vocabulary.sentences(captions.texts)
            report = yield from EmbeddingMatrix.take(folder, recipe, rows, given, sentences=sentences, about=about)
        else:
            yield Progress("loading the encoder", 0, 0, "")
            encoder = text_encoder.sentence_encoder
            sentences = yield from vocabulary.sentences(captions.texts)
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

        A corpus that cannot be measured is left as it is.

        Raises:
            AssetError: The cache cannot be written, or the device has too little memory for even one query.
        """
        if not again:
            yield from self.open_calibration()
        if (self.calibration is not None and not again) or self.why_unmeasured:
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
    def why_unmeasured(self) -> str:
        """Why there can be no calibration: no encoder, or fewer than `MIN_CAPTIONS` captions with known words."""
        if not self.text_encoder.can_encode:
            return "without an encoder"
        few = len(self.matrix) - len(self.matrix.sentences.wordless()) < MIN_CAPTIONS
        return "on so few captions" if few else ""

    def name_of(self, choice: Choice, *, short: bool = False) -> str:
        """Return the name of a method that people read, where `short` for narrow columns."""
        return shown_name(choice, given=not self.text_encoder.can_encode, short=short)

    def lacks(self, method: Method) -> str:
        """Say what a method lacks, without which it finds nothing for texts that are no captions; empty if nothing."""
        if method == "words" and self.setup.assets.vectors is None:
            return "words needs word vectors: start with --vectors FILE"
        if method in ("infersent", "context") and not self.text_encoder.can_encode:
            return "these embeddings came without their encoder, so only captions can be queries; bm25 takes any text"
        return ""

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
        name = "" if assets.vectors is None else assets.vectors.name
        if vectors.broken_lines:
            lines = "line of" if vectors.broken_lines == 1 else "lines of"
            problems.append(f"{vectors.broken_lines:,} broken {lines} {name} skipped")
        if vectors.missing_lines:
            problems.append(
                f"{name} is cut off: {vectors.missing_lines:,} words that its first line announces are "
                "missing; copy or download it again"
            )
        if wordless := len(self.matrix.sentences.wordless()) - self.captions.empty:
            have = "caption has" if wordless == 1 else "captions have"
            problems.append(f"{wordless:,} {have} no known word: only bm25 and fused can find such captions")
        if self.text_encoder.is_loaded and (others := self.text_encoder.sentence_encoder.passed_over):
            weights, _ = self.setup.encoder_files()
            problems.append(f"{weights.name} also holds {first_names(others)}, which is no part of the encoder")
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
