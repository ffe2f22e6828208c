"""Explorer: the one path from files to answers; opens what they need, then turns each query into one `Answer`."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.answers import Answer, Explanation
from core.assets import AssetError, Assets
from core.corpus.captions import Captions, Columns
from core.corpus.images import Images
from core.corpus.sentences import Sentences
from core.corpus.tokenizer import Tokenizer
from core.corpus.vectors import FORMAT as VECTORS_FORMAT
from core.corpus.vectors import WordVectors
from core.encoding.building import embed_sentences
from core.encoding.codes import RowCodes
from core.encoding.encoder import EncodedSentence, SentenceEncoder, choose_device, choose_dtype, not_cancelled
from core.encoding.matrix import BuildReport, EmbeddingMatrix, Recipe
from core.query import Query, Term, Token
from core.ranking.agreement import Side, agree
from core.ranking.arithmetic import Summand, parse, unquoted, weighted_sum
from core.ranking.comparison import Comparison, compare
from core.ranking.folds import Folds
from core.ranking.lexical import Lexical
from core.ranking.methods import METHODS, Choice, Method
from core.ranking.rankers import Rankers
from core.ranking.ranking import FIRST, LEADING, Found, Ranking
from core.ranking.search import Searcher
from core.store.cache import Cache
from core.store.progress import Cancelled, Progress, Steps, finish
from core.store.whole import is_whole
from core.trust.calibration import Calibration, calibrate
from core.trust.probing import LEAST_CAPTIONS, probe
from core.trust.signals import HITS, SignalMeter
from core.trust.verdict import LEVELS, NOTHING_KNOWN, Verdict, judge, judge_by_rules

_RECENT = 64  # encoded sentences kept: terms of a sum are asked at each keystroke, hits on the way down the list


class Explorer:
    """The opened model, captions and matrix. Make it, run `prepare` to its end, then ask.

    Args:
        assets: Which files.
        cache: Where computed things are kept.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto`, `float32` or `bfloat16`, for encoding captions.
        vocab_size: Only so many words of the vector file are known; None for all.
        columns: Column names, where the captions are a table; None to guess.
    """

    def __init__(
        self,
        assets: Assets,
        cache: Cache,
        *,
        device: str = "auto",
        dtype: str = "auto",
        vocab_size: int | None = None,
        columns: Columns | None = None,
    ) -> None:
        self.assets = assets
        self.cache = cache
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self.tokenizer = Tokenizer(assets.version)
        self._vocab_size = vocab_size
        self._columns = columns or Columns()
        self._weights_hash: str  # from `identify` on
        self._vectors_hash: str
        self._texts_hash: str  # from `open_captions` on
        self.captions: Captions
        self.folds: Folds
        self.vectors: WordVectors
        self.matrix: EmbeddingMatrix
        self.report: BuildReport
        self._searcher: Searcher
        self._rankers: Rankers | None = None
        self.calibration: Calibration | None = None
        """What answers can be trusted; None before `calibrate`."""
        self._recent: dict[str, EncodedSentence] = {}  # the latest last
        self._unwritten: dict[str, EncodedSentence] = {}  # of settled queries

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """The encoder, loaded when it is first wanted: a caption's neighbours come of its stored row.

        Raises:
            AssetError: The weights cannot be used, or do not belong to the vectors.
        """
        encoder = SentenceEncoder.load(self.assets.weights, device=self.device, dtype=self.dtype)
        self.check_word_dim(encoder, self.vectors.dim)
        return encoder

    def check_word_dim(self, encoder: SentenceEncoder, dim: int) -> None:
        """Check that word vectors of a width belong to an encoder.

        Raises:
            AssetError: They do not.
        """
        if dim != encoder.word_dim:
            raise AssetError(
                self.assets.vectors,
                f"its vectors have {dim} numbers",
                expected=f"{encoder.word_dim}, as {self.assets.weights} says",
                advice="name the vectors that the weights were trained with: --vectors",
            )

    @property
    def is_encoder_loaded(self) -> bool:
        """Whether encoding begins at once."""
        return "encoder" in self.__dict__

    def open_encoder(self) -> Steps[None]:
        """Open word vectors (converting them when they are new) and weights, and check that they fit.

        Raises:
            AssetError: A file cannot be used, or the two do not belong together.
        """
        yield from self.open_vectors()
        yield Progress("loading the encoder", 0, 0, "")
        _ = self.encoder

    def identify(self) -> Steps[None]:
        """Hash weights and vectors, which tells the places of what is computed from them; converts and loads nothing.

        Raises:
            AssetError: A file cannot be read.
        """
        if "_vectors_hash" not in self.__dict__:
            self._weights_hash = yield from self.cache.sha256(self.assets.weights)
            self._vectors_hash = yield from self.cache.sha256(self.assets.vectors)

    @property
    def vectors_folder(self) -> Path:
        """The place of the converted vectors, whether they are there or not; known after `identify`."""
        return self.cache.folder("vectors", f"{self._vectors_hash[:32]}-{VECTORS_FORMAT}")

    @property
    def matrix_folder(self) -> Path:
        """The place of the matrix, whether it is there or not; known after `identify` and `open_captions`."""
        return self.cache.folder("matrix", self.recipe().key)

    def open_vectors(self) -> Steps[None]:
        """Open word vectors, converting them when they are new.

        Raises:
            AssetError: The file cannot be used, or belongs to another version of InferSent.
        """
        yield from self.identify()
        yield from WordVectors.convert(self.assets.vectors, self.vectors_folder)
        self.vectors = WordVectors(self.vectors_folder, vocab_size=self._vocab_size)
        self._marks = self.vectors.find(self.tokenizer.marks, always=self.tokenizer.marks)
        if (self._marks < 0).any():
            usual = {1: "glove.840B.300d.txt", 2: "crawl-300d-2M.vec"}[self.assets.version]
            raise AssetError(
                self.assets.vectors,
                f"has no vectors for the sentence marks {' '.join(self.tokenizer.marks)}",
                expected=f"the vectors of InferSent version {self.assets.version}: {usual} "
                "(not glove.6B, not crawl-300d-2M-subword.vec)",
                advice="name the right file with --vectors, or the right version with --model-version",
            )

    def open_captions(self) -> Steps[None]:
        """Read the captions.

        Raises:
            AssetError: The file cannot be used.
        """
        yield Progress("reading captions", 0, 0, "")
        self.captions = Captions.read(self.assets.captions, columns=self._columns)
        self.folds = Folds(self.captions)
        self._texts_hash = Recipe.hash_texts(self.captions.texts)

    def open_matrix(self) -> Steps[None]:
        """Open the captions' embeddings; encode the captions unless that was done before.

        Raises:
            AssetError: The weights cannot be used, or the cache cannot be written.
        """
        recipe, folder = self.recipe(), self.matrix_folder
        if is_whole(folder, recipe.origin()):
            self.report = BuildReport(len(self.captions), len(self.captions), True, "")
        else:
            yield Progress("loading the encoder", 0, 0, "")
            _ = self.encoder
            sentences = yield from self.sentences(self.captions.texts)
            about = f"{self.model_name} · {self.captions_name} ({len(self.captions):,}) · {self.dtype}"
            self.report = yield from EmbeddingMatrix.build(
                folder, recipe, sentences=sentences, vectors=self.vectors, encoder=self.encoder, about=about
            )
        self.matrix = EmbeddingMatrix(folder)
        if self.device == "cpu" and RowCodes.supported():
            try:
                yield from self.matrix.open_codes()
            except AssetError as error:  # a full or read-only disk: search then reads the whole rows
                self.cache.problems.append(f"search is slower, as it could not be prepared: {error.found}")
        self._searcher = Searcher(self.matrix, device=self.device)

    def open_methods(self) -> Steps[None]:
        """Open what the methods beside `infersent` need; index the captions' words unless that was done before.

        Raises:
            AssetError: The cache cannot be written.
        """
        if self._rankers is not None:
            return
        folder = self.matrix.folder / "lexical"
        sentences = self.matrix.sentences
        yield from Lexical.build(folder, self.captions.texts, sentences=sentences, vectors=self.vectors)
        lexical = Lexical(folder, sentences=sentences, vectors=self.vectors)
        self._rankers = Rankers(self.matrix, self._searcher, lexical)

    def open_calibration(self) -> Steps[None]:
        """Open what an earlier `calibrate` measured, where there is such a thing. Answers rest on it from then on.

        Raises:
            AssetError: The cache cannot be written.
        """
        known = Calibration.load(self._calibration_file)
        if known is not None:
            yield from self.open_methods()
            self.calibration = known

    def calibrate(self, *, again: bool = False) -> Steps[None]:
        """Measure how far answers can be trusted, unless that was done before; too small a corpus is not measured.

        Args:
            again: Measure even so.

        Raises:
            AssetError: The cache cannot be written, or the device has too little memory for even one query.
        """
        if not again:
            yield from self.open_calibration()
        n = len(self.matrix)
        if (self.calibration is not None and not again) or n - len(self.matrix.sentences.wordless()) < LEAST_CAPTIONS:
            return
        yield from self.open_methods()
        assert self._rankers is not None
        measured = yield from probe(
            matrix=self.matrix,
            lexical=self._rankers.lexical,
            vectors=self.vectors,
            encoder=self.encoder,
            marks=self._marks,
            images=self._images,
        )
        self.calibration = yield from calibrate(measured)
        try:
            self.calibration.save(self._calibration_file)
        except AssetError as error:  # it holds for now, and is measured again next time
            self.cache.problems.append(f"what was measured could not be kept: {error.found}")

    @cached_property
    def _calibration_file(self) -> Path:
        """Where it lies: beside the matrix, which does not depend on the image groups, under a name that does."""
        groups = b"" if self._images is None else self._images.of.tobytes()
        return self.matrix.folder / f"calibration-{hashlib.sha256(groups).hexdigest()[:16]}.json"

    @cached_property
    def _images(self) -> Images | None:
        """The captions' image groups, where enough images have several captions."""
        if self.captions.groups is None:
            return None
        images = Images(self.captions.groups, leave_out=self.matrix.sentences.wordless())
        return images if images.suffice else None

    @cached_property
    def _meter(self) -> SignalMeter:
        assert self._rankers is not None
        marks = self._encode(self._marks, not_cancelled, settled=True).embedding
        bm25 = self._rankers.lexical.bm25
        return SignalMeter(self.matrix.rows, marks=marks / np.linalg.norm(marks), bm25=bm25, images=self._images)

    @property
    def has_methods(self) -> bool:
        """Whether the methods beside `infersent` can be asked."""
        return self._rankers is not None

    def prepare(self) -> Steps[None]:
        """Open what a caption's neighbours need: vectors, captions, matrix. Raises what those raise.

        What typed texts need besides, the encoder and NLTK, is loaded when it is first wanted.
        """
        yield from self.open_vectors()
        yield from self.open_captions()
        yield from self.open_matrix()

    def warm_up(self) -> None:
        """Load what typed texts need besides, which else happens when it is first wanted: the encoder and NLTK.

        Raises:
            AssetError: The weights cannot be used.
        """
        _ = self.encoder
        self.tokenizer.warm_up()

    def recipe(self) -> Recipe:
        """What the matrix is made from; known after `identify` and `open_captions`."""
        return Recipe(
            weights=self._weights_hash,
            vectors=self._vectors_hash,
            texts=self._texts_hash,
            version=self.assets.version,
            tokenizer=self.tokenizer.name,
            vocab_size=self._vocab_size or 0,
            dtype=self.dtype,
        )

    def self_check(self, encoder: SentenceEncoder, *, sentences: int = 200) -> float:
        """Encode random sentences with an encoder of these weights, and in float32 on the CPU; needs no word vectors.

        Returns:
            The least cosine between the two embeddings of a sentence; near 1 when the device computes as it should.

        Raises:
            AssetError: The weights cannot be used.
        """
        exact = SentenceEncoder.load(self.assets.weights)
        chance = np.random.default_rng(0)
        words = _RandomWords(0.3 * chance.normal(size=(500, exact.word_dim)).astype(np.float32))  # of usual length
        ids = [chance.integers(0, 500, size=length).astype(np.int32) for length in chance.integers(3, 25, sentences)]
        ours, theirs = (finish(each.encode_together(ids, words)) for each in (encoder, exact))  # (n, D)
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        return float(((ours * theirs).sum(axis=1) / lengths).min())

    def embed(self, texts: Sequence[str], out: NDArray[np.float32]) -> Steps[None]:
        """Encode texts into `out`, (len(texts), D), raw; those without known words at the mark-only point.

        Args:
            texts: The texts.
            out: Where the embeddings go.
        """
        sentences = yield from self.sentences(texts)
        yield from embed_sentences(sentences, self.vectors, self.encoder, out)

    def sentences(self, texts: Sequence[str]) -> Steps[Sentences]:
        """Turn texts into token ids, the sentence marks around each; unknown tokens are dropped."""
        return Sentences.of(texts, tokenizer=self.tokenizer, vectors=self.vectors)

    @property
    def model_name(self) -> str:
        """What to call the encoder on the screen."""
        return "demo encoder" if self.assets.is_demo_encoder else self.assets.weights.stem

    @property
    def captions_name(self) -> str:
        """What to call the corpus on the screen."""
        return "demo captions" if self.assets.is_demo_captions else self.captions.name

    def problems(self) -> list[str]:
        """What a person should know about the opened files, a sentence each; empty when all is well."""
        problems = self.problems_of_asking()
        if self.vectors.broken_lines:
            problems.append(f"{self.vectors.broken_lines:,} lines of {self.assets.vectors.name} are broken: left out")
        if self.vectors.missing_lines:
            problems.append(
                f"{self.assets.vectors.name} is cut off: {self.vectors.missing_lines:,} words that its first line "
                "promises are not there; copy or download it again"
            )
        if wordless := len(self.matrix.sentences.wordless()):
            problems.append(f"{wordless:,} captions have no known word: they are never ranked")
        if self.report.started_over:
            problems.append(f"an unfinished matrix could not be continued ({self.report.started_over}): started over")
        return problems

    def problems_of_asking(self) -> list[str]:
        """Those of `problems` that can come up later, while queries are answered."""
        problems = list(self.cache.problems)
        encodes_on_cpu = self.is_encoder_loaded and self.encoder.ran_out_of_memory
        if self.device != "cpu" and (self._searcher.device == "cpu" or encodes_on_cpu):
            problems.append(f"{self.device} has too little free memory: queries are answered on the CPU, more slowly")
        return problems

    def ask(
        self,
        text: str,
        *,
        method: Choice = "infersent",
        settled: bool = True,
        k: int = LEADING,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Answer:
        """Answer a typed query, which may be a sum such as `a dog on a beach - a dog + a horse`.

        A text that is a caption is never read as a sum.

        Args:
            text: The query.
            method: How to compare the captions; others than `infersent` need `open_methods`. Sums are always compared
                by `infersent`.
            settled: False while it is being typed: then the last word is not judged yet, unless a blank follows it.
            k: How many leading hits.
            cancelled: Looked at while a very long query is encoded.

        Raises:
            Cancelled: It said so.
        """
        clock = _Clock()
        terms, literal = parse(text), unquoted(text)
        words, rows, ids = self._look_up(literal)
        way = self._choose(method, words, rows)
        if not words:
            return Answer(text=text, timings_ms=clock.timings(), method=way)
        clock.lap("tokenize")
        same = self.matrix.sentences.find(ids).tolist() if len(ids) > 2 else []
        unfinished = not settled and not text[-1:].isspace()
        if terms and not any(self.tokenizer.tokenize(self.captions.texts[row]) == words for row in same):
            return self._ask_sum(text, terms, clock, unfinished=unfinished, settled=settled, k=k, cancelled=cancelled)
        if len(ids) <= 2:
            tokens, verdict = _nothing_known(words, unfinished=unfinished)
            return Answer(
                text=text,
                tokens=tokens,
                marks_importance=1.0,
                verdict=verdict,
                timings_ms=clock.timings(),
                method=way,
            )
        own_row = next(iter(same), None)
        encoded = self._encode(ids, cancelled, settled=settled)
        clock.lap("encode")
        query = Query(literal, ids, self.matrix.rows[own_row] if own_row is not None else encoded.embedding, own_row)
        found = self._find(query, way, k=k)
        clock.lap("search")
        tokens, marks = _tokens(words, rows, encoded, unfinished=unfinished), _marks_importance(encoded)
        verdict = self._judge(tokens, query, found, way, marks_importance=marks)
        closer = self._closer_than(found.leading, way, ids)
        return Answer(
            text=text,
            row=own_row,
            query=query,
            tokens=tokens,
            marks_importance=marks,
            verdict=verdict,
            found=found,
            timings_ms=clock.timings(),
            method=way,
            closer_than=closer,
        )

    def neighbours(self, row: int, *, method: Choice = "infersent", k: int = LEADING) -> Answer:
        """Answer with the neighbours of a caption alone: tokens and verdict are left for `complete`."""
        clock = _Clock()
        text = self.captions.texts[row]
        ids = self.matrix.sentences[row]
        if len(ids) <= 2:
            return Answer(text=text, row=row, marks_importance=1.0, timings_ms=clock.timings())
        way = self._choose(method, [self.vectors.word(word) for word in ids[1:-1].tolist()], ids[1:-1])
        query = Query(text, ids, self.matrix.rows[row], row)
        found = self._find(query, way, k=k)
        clock.lap("search")
        closer = self._closer_than(found.leading, way, ids)
        return Answer(
            text=text,
            row=row,
            query=query,
            found=found,
            timings_ms=clock.timings(),
            method=way,
            closer_than=closer,
        )

    def complete(self, answer: Answer, *, cancelled: Callable[[], bool] = not_cancelled) -> Answer:
        """Add tokens, their importance and the verdict to the neighbours of a caption.

        Raises:
            Cancelled: `cancelled` said so.
        """
        assert answer.row is not None
        clock = _Clock(answer.timings_ms)
        words, rows, _ = self._look_up(answer.text)
        clock.lap("tokenize")
        if answer.query is None or answer.found is None:
            tokens, verdict = _nothing_known(words)
            return replace(answer, tokens=tokens, verdict=verdict, timings_ms=clock.timings())
        encoded = self._encode(answer.query.ids, cancelled, settled=True)
        clock.lap("encode")
        tokens, marks = _tokens(words, rows, encoded), _marks_importance(encoded)
        verdict = self._judge(tokens, answer.query, answer.found, answer.method, marks_importance=marks)
        return replace(answer, tokens=tokens, marks_importance=marks, verdict=verdict, timings_ms=clock.timings())

    def compare(
        self,
        text: str,
        *,
        row: int | None = None,
        methods: Sequence[Method] = METHODS,
        k: int = LEADING,
        cancelled: Callable[[], bool] = not_cancelled,
    ) -> Comparison:
        """Answer a query by several methods; needs `open_methods`. A sum has one place only: no lists to compare.

        Equal texts count once, so that copies neither fill the lists nor make them agree.

        Args:
            text: The query.
            row: The caption that is asked in place of a text.
            methods: Which ones, in order.
            k: How many leading hits of each.
            cancelled: Looked at between the methods.

        Raises:
            Cancelled: It said so.
        """
        if self._rankers is None:
            raise RuntimeError("open_methods comes first")
        rankings: dict[Method, Ranking] = {}
        for method in methods:
            if cancelled():
                raise Cancelled
            if row is None:
                answer = self.ask(text, method=method, k=k, cancelled=cancelled)
            else:
                answer = self.neighbours(row, method=method, k=k)
            if not answer.terms:
                rankings[method] = answer.hits.at(self.folds.fold(answer.hits.rows).texts.places)
                row = answer.row
        bm25 = self._rankers.lexical.bm25
        return compare(
            text, row, rankings, texts=self.captions.texts, stems=set(bm25.stems(unquoted(text))), stem=bm25.stem
        )

    def explain(self, answer: Answer, row: int, *, cancelled: Callable[[], bool] = not_cancelled) -> Explanation:
        """Say which words made a hit's embedding, and which it shares with the query of an answer.

        Raises:
            Cancelled: `cancelled` said so.
        """
        words, rows, _ = self._look_up(self.captions.texts[row])
        ids = self.matrix.sentences[row]
        encoded = self._encode(ids, cancelled, settled=False)
        agreement = None
        query = answer.query
        if query is not None:
            winners = self._encode(query.ids, cancelled, settled=False).winners
            agreement = agree(
                Side(query.embedding, winners, [self.vectors.word(i) for i in query.ids]),
                Side(self.matrix.rows[row], encoded.winners, [self.vectors.word(i) for i in ids]),
            )
        return Explanation(row, _tokens(words, rows, encoded), _marks_importance(encoded), agreement)

    def random_row(self, rng: random.Random | None = None, *, other_than: int | None = None) -> int:
        """Draw a caption that has at least one known word.

        Args:
            rng: Where chance comes from.
            other_than: A caption that is not drawn, unless it is the only one.

        Raises:
            AssetError: No caption has one.
        """
        wordless = set(self.matrix.sentences.wordless().tolist())
        if other_than is not None and len(wordless | {other_than}) < len(self.matrix):
            wordless.add(other_than)
        if len(wordless) == len(self.matrix):
            raise AssetError(
                self.assets.captions,
                "no caption has a word that the vectors know",
                advice="check that captions and vectors are of the same language",
            )
        draw = rng or random.Random()
        while (row := draw.randrange(len(self.matrix))) in wordless:
            pass
        return row

    def _ask_sum(
        self,
        text: str,
        terms: Sequence[Summand],
        clock: _Clock,
        *,
        unfinished: bool,
        settled: bool,
        k: int,
        cancelled: Callable[[], bool],
    ) -> Answer:
        asked: list[Term] = []
        weights: list[float] = []
        embeddings: list[NDArray[np.float32]] = []
        for term in terms:
            words, rows, ids = self._look_up(term.text)
            known = len(ids) > 2
            encoded = self._encode(ids, cancelled, settled=settled and known)
            tokens = _tokens(words, rows, encoded, unfinished=unfinished and term is terms[-1])
            asked.append(Term(term.weight, term.text, tokens, _marks_importance(encoded)))
            if known:
                weights.append(term.weight)
                embeddings.append(encoded.embedding)
        clock.lap("encode")
        unknown = [term.text for term in asked if not any(token.known or token.unfinished for token in term.tokens)]
        query = weighted_sum(weights, embeddings) if embeddings and not unknown else None
        if query is None:
            verdict = _term_unknown(unknown) if unknown else _CANCELLED if embeddings else None
            return Answer(text=text, verdict=verdict, timings_ms=clock.timings(), terms=tuple(asked))
        found = self._searcher.nearest(query, k=k)
        clock.lap("search")
        verdict = _weakest([(term.text, judge_by_rules(term.tokens)) for term in asked])
        return Answer(text=text, verdict=verdict, found=found, timings_ms=clock.timings(), terms=tuple(asked))

    def _look_up(self, text: str) -> tuple[list[str], NDArray[np.int32], NDArray[np.int32]]:
        """A text's tokens, the row of each among the vectors (-1 where it has none), and what is encoded of them."""
        words = self.tokenizer.tokenize(text)
        rows = self.vectors.find(words, always=self.tokenizer.marks)  # (words,)
        return words, rows, np.concatenate([self._marks[:1], rows[rows >= 0], self._marks[1:]])

    def _choose(self, method: Choice, words: list[str], rows: NDArray[np.int32]) -> Method:
        """Settle what `auto` means for a query of these words; without a calibration it is `infersent`."""
        if method != "auto":
            return method
        if self.calibration is None:
            return "infersent"
        content = sum(Token(word, row >= 0, 0.0).counts for word, row in zip(words, rows.tolist(), strict=True))
        return self.calibration.best_method(content)

    def _find(self, query: Query, method: Method, *, k: int) -> Found:
        if method == "infersent":
            return self._searcher.nearest(query.embedding, k=k, own_row=query.row)
        if self._rankers is None:
            raise RuntimeError("open_methods comes first")
        return self._rankers.find(method, query, k=k)

    def _closer_than(self, leading: Ranking, method: Method, ids: NDArray[np.int32]) -> NDArray[np.float64] | None:
        if self.calibration is None or method not in ("infersent", "context"):
            return None
        return self.calibration.closer_than(leading.distances, len(ids) - 2)

    def _judge(
        self, tokens: tuple[Token, ...], query: Query, found: Found, method: Method, *, marks_importance: float
    ) -> Verdict:
        """Judge a query by the calibration, or by rules of thumb as long as there is none."""
        if self.calibration is None or self._rankers is None:
            return judge_by_rules(tokens)
        leading = found.leading
        if method != "infersent" or len(leading) <= HITS:  # the verdict is on the encoder, whatever is shown
            leading = self._searcher.nearest(query.embedding, k=HITS + 1, own_row=query.row).leading
        others = leading.rows != query.row
        hits = leading.rows[others][:HITS]
        if not len(hits):
            return judge_by_rules(tokens)
        signals = self._meter.measure(
            (query.embedding / np.linalg.norm(query.embedding.astype(np.float64))).astype(np.float32),
            known=len(query.ids) - 2,
            stems=self._rankers.lexical.bm25.stems(" ".join(token.text for token in tokens if token.known)),
            hits=hits,
            cosines=1 - leading.distances[others][:HITS],
            leave_out=-1 if query.row is None else query.row,
        )
        hubs = sum(row in self.calibration.hub_set for row in hits[:FIRST].tolist())
        return judge(tokens, signals, self.calibration, marks_importance=marks_importance, hubs=hubs)

    def remember(self) -> None:
        """Write the embeddings of settled queries to the cache; call it once their answers are shown."""
        while self._unwritten:
            key, encoded = self._unwritten.popitem()
            self.cache.remember_answer(key, encoded.embedding.tobytes() + encoded.winners.tobytes())

    def _encode(self, ids: NDArray[np.int32], cancelled: Callable[[], bool], *, settled: bool) -> EncodedSentence:
        """Encode token ids, unless that was done lately; a settled query's are also looked up in the cache."""
        key = self._answer_key(ids)
        encoded, is_written = self._recent.pop(key, None), False
        if encoded is None and settled and (known := self.cache.recall_answer(key)):
            encoded = _encoded_from(known, self.matrix.dim, len(ids))
            is_written = encoded is not None
        if encoded is None:
            encoded = self.encoder.encode(np.asarray(self.vectors.rows[ids]), cancelled=cancelled)
        self._recent[key] = encoded
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        if settled and not is_written:
            self._unwritten[key] = encoded
        return encoded

    def _answer_key(self, ids: NDArray[np.int32]) -> str:
        return f"{self.matrix.folder.name}:{self.device}:winners:{hashlib.sha256(ids.tobytes()).hexdigest()}"


class _RandomWords(NamedTuple):
    rows: NDArray[np.float32]
    """(V, E)."""


def _encoded_from(known: bytes, dim: int, length: int) -> EncodedSentence | None:
    """Read a remembered embedding, with what won its features; None where it is damaged."""
    if len(known) != 8 * dim:
        return None
    winners = np.frombuffer(known, np.int32, offset=4 * dim)
    if winners.min() < 0 or winners.max() >= length:
        return None
    return EncodedSentence(np.frombuffer(known, np.float32, dim), winners, length)


def _tokens(
    words: list[str], rows: NDArray[np.int32], encoded: EncodedSentence, *, unfinished: bool = False
) -> tuple[Token, ...]:
    """Give each word its share of the maxima; `unfinished` says that the last one may still be typed."""
    shares = iter(encoded.importance[1:-1].tolist())
    return tuple(
        Token(word, row >= 0, next(shares) if row >= 0 else 0.0, unfinished and i == len(words) - 1)
        for i, (word, row) in enumerate(zip(words, rows.tolist(), strict=True))
    )


def _nothing_known(words: list[str], *, unfinished: bool = False) -> tuple[tuple[Token, ...], Verdict | None]:
    """Tokens and verdict of a text without a known word; no verdict yet on a single word that may still be typed."""
    tokens = tuple(Token(word, False, 0.0, unfinished and i == len(words) - 1) for i, word in enumerate(words))
    return tokens, None if all(token.unfinished for token in tokens) else NOTHING_KNOWN


def _marks_importance(encoded: EncodedSentence) -> float:
    return float(encoded.importance[0] + encoded.importance[-1])


_CANCELLED = Verdict(
    "unreliable",
    ("the terms cancel out: what is left of their sum is too short to have a direction",),
    "sum of nothing",
)


def _term_unknown(terms: Sequence[str]) -> Verdict:
    named = " and ".join(f"“{term}”" for term in terms)
    return Verdict("unreliable", (f"no word of {named} is known: there is nothing to add",), "no known word")


def _weakest(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """The verdict on the term, named with it, that can be trusted least."""
    text, verdict = max(verdicts, key=lambda each: LEVELS.index(each[1].level))
    return replace(verdict, reasons=(f"weakest term: “{text}”", *verdict.reasons))


class _Clock:
    """Times the steps of one question; goes on from earlier timings where there are some."""

    def __init__(self, earlier: dict[str, float] | None = None) -> None:
        self._start = self._last = time.perf_counter()
        self._laps = dict(earlier or {})
        self._earlier = self._laps.pop("total", 0.0)

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._laps[step] = round((now - self._last) * 1000, 3)
        self._last = now

    def timings(self) -> dict[str, float]:
        total = self._earlier + (time.perf_counter() - self._start) * 1000
        return self._laps | {"total": round(total, 3)}
