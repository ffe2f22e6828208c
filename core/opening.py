"""Opening: open a corpus from its files, in the one correct order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.assets import RANDOM, AssetError
from core.corpus.captions import Captions
from core.corpus.tokenizer import Tokenizer
from core.corpus.vec_file import VecFile
from core.corpus.vectors import FORMAT as VECTORS_FORMAT
from core.corpus.vectors import WordVectors
from core.corpus.vocabulary import Vocabulary
from core.encoding.encoder import SentenceEncoder
from core.encoding.given import read_embeddings
from core.encoding.matrix import EmbeddingMatrix
from core.encoding.recipe import Recipe
from core.encoding.row_files import BuildReport
from core.encoding.shards import Shards
from core.encoding.text_encoder import TextEncoder
from core.encoding.weights import read_weights
from core.opened import Opened, Sample, captions_name_of
from core.ranking.folds import Folds
from core.ranking.search import MatrixSearcher
from core.setup import Setup
from core.store.cache import Cache
from core.store.file_state import FileState
from core.store.progress import Progress, Steps
from core.store.whole import is_whole

Need = Literal["matrix", "methods", "calibration"]
"""What `open_` opens: `matrix` suffices for `infersent`; `methods` adds the other methods, and the second encoder if
there is one; `calibration` adds the saved calibration, if there is one."""


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
    source: FileState
    """The weights, or the embeddings that are given in their place, when they were hashed."""
    second: Places | None
    """The places of a second encoder over the same captions."""


def locate(setup: Setup, cache: Cache, *, captions: Captions | None = None) -> Steps[Places]:
    """Read the captions, unless they are given, and hash the other files, without converting, loading or encoding.

    Raises:
        AssetError: A file cannot be read or used, or the second encoder is the first one again.
    """
    cache.check_owners()
    assets, vec_file = setup.assets, None
    state = FileState.of(assets.embeddings or setup.encoder_files()[0])
    if assets.embeddings is None:
        recipe, vec_file, folder = yield from locate_encoder(setup, cache)
    else:
        source = yield from cache.sha256(state.path)
        if assets.vectors is not None:
            vectors, vec_file, folder = yield from _locate_vectors(setup, assets.vectors, cache)
    if captions is None:
        yield Progress("reading captions", 0, 0, "")
        captions = Captions.read(assets.captions, options=setup.reading)
    texts = Recipe.hash_texts(captions.texts)
    if assets.embeddings is None:
        recipe = replace(recipe, texts=texts)
    else:
        tokenizer = Tokenizer(assets.version).name
        if vec_file is None:
            vectors = hashlib.sha256(f"{texts} {tokenizer}".encode()).hexdigest()
            folder = _vectors_folder(vectors, cache)
        words = 0 if vec_file is None else setup.vocab_size or 0
        recipe = Recipe(source, vectors, texts, assets.version, tokenizer, words, "given")
    second = None if setup.second is None else (yield from _locate_second(setup.second, cache, captions, recipe))
    matrix = cache.folder("matrix", recipe.key)
    return Places(
        captions=captions,
        recipe=recipe,
        vec_file=vec_file,
        vectors=folder,
        matrix=matrix,
        source=state,
        second=second,
    )


def locate_encoder(setup: Setup, cache: Cache) -> Steps[tuple[Recipe, VecFile, Path]]:
    """Hash the files of an encoder.

    Returns:
        The recipe of what it encodes, with `texts` empty; the file of the word vectors; and the folder of the converted
        ones, which may not exist yet.

    Raises:
        AssetError: There is no encoder, or a file cannot be read.
    """
    weights, vectors_path = setup.encoder_files()
    source = yield from cache.sha256(weights)
    if setup.untrained:
        source = hashlib.sha256(f"{source} {RANDOM}".encode()).hexdigest()
    vectors, vec_file, folder = yield from _locate_vectors(setup, vectors_path, cache)
    recipe = Recipe(
        weights=source,
        vectors=vectors,
        texts="",
        version=setup.assets.version,
        tokenizer=Tokenizer(setup.assets.version).name,
        vocab_size=setup.vocab_size or 0,
        dtype=setup.dtype,
    )
    return recipe, vec_file, folder


def _locate_second(setup: Setup, cache: Cache, captions: Captions, first: Recipe) -> Steps[Places]:
    """Locate a second encoder, and check that it is another one than the first."""
    weights, _ = setup.encoder_files()
    try:
        places = yield from locate(setup, cache, captions=captions)
        if places.recipe == first:
            advice = f"name other weights with --against, or {RANDOM} for untrained ones"
            raise AssetError(weights, "is the first encoder, and also the second", advice=advice)
    except AssetError as error:
        raise error.about_second() from error
    return places


def _locate_vectors(setup: Setup, path: Path, cache: Cache) -> Steps[tuple[str, VecFile, Path]]:
    """Return the SHA-256 of the vectors that fit the weights, their file and the folder of the converted ones."""
    state = FileState.of(path)
    digest = yield from cache.sha256(path)
    weights = setup.assets.weights
    width = None if weights is None else lambda: read_weights(weights).word_dim
    vec_file = replace(VecFile.choose(path, width), state=state)
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
    cache.check_owners()
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


def open_(
    setup: Setup, cache: Cache, *, need: Need = "matrix", check: Callable[[Captions], None] | None = None
) -> Steps[Opened]:
    """Open a corpus and what `need` names; encode its captions unless the cache holds their matrix.

    Args:
        setup: The files, and how to read and encode them.
        cache: Keeps what is computed.
        need: What is opened beside the matrix.
        check: Called with the captions before they are encoded, which may take long; raises an error to stop.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """
    places = yield from locate(setup, cache)
    if check is not None:
        check(places.captions)
    if setup.second is not None and places.second is not None:
        _check_widths(setup.second, places.second)
    opened = yield from open_located(setup, cache, places)
    yield from open_needed(opened, need)
    return opened


def open_needed(opened: Opened, need: Need) -> Steps[None]:
    """Open what is needed of an opened corpus beside its matrix.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """
    if need == "methods":
        yield from opened.open_methods()
        yield from open_second(opened)
    if need == "calibration":
        yield from opened.open_calibration()


def _check_widths(setup: Setup, places: Places) -> None:
    """Check that the vectors of a second encoder have its width, before the captions are encoded by the first."""
    if places.vec_file is None or is_whole(places.matrix, places.recipe.origin()):
        return
    weights, _ = setup.encoder_files()
    try:
        setup.check_width(places.vec_file.read_dim(), read_weights(weights).word_dim)
    except AssetError as error:
        raise error.about_second() from error


def open_second(opened: Opened) -> Steps[None]:
    """Open the second encoder beside an opened corpus, if there is one; encode the captions by it unless that is done.

    Raises:
        AssetError: A file cannot be used, two files do not match, or the cache cannot be written.
    """
    setup = opened.setup.second
    if setup is None or opened.second is not None:
        return
    try:
        places = yield from locate(setup, opened.cache, captions=opened.captions)
        second = yield from open_located(setup, opened.cache, places)
    except AssetError as error:
        raise error.about_second() from error
    opened.take_second(second)


def open_located(setup: Setup, cache: Cache, places: Places) -> Steps[Opened]:
    """Open a corpus by one encoder; encode its captions unless the cache holds their matrix: see `open_`."""
    captions, recipe, folder, given = places.captions, places.recipe, places.matrix, setup.assets.embeddings
    if places.vec_file is not None:
        vocabulary = yield from open_vocabulary(setup, places.vec_file, places.vectors)
    else:
        tokenizer = Tokenizer(setup.assets.version)
        yield from WordVectors.of_texts(captions.texts, tokenizer, places.vectors)
        vocabulary = Vocabulary(tokenizer, WordVectors(places.vectors))

    def load() -> SentenceEncoder:
        encoder = setup.load_encoder(vocabulary.vectors.dim)
        places.source.check()
        return encoder

    text_encoder = TextEncoder(vocabulary, load if given is None else None)
    start = time.perf_counter()
    if is_whole(folder, recipe.origin()):
        report = BuildReport(len(captions), len(captions), True, "")
    else:
        about = _about(setup, places)
        if given is not None:
            rows = read_embeddings(given, len(captions))
            sentences = yield from vocabulary.sentences(captions.texts)
            report = yield from EmbeddingMatrix.take(
                folder, recipe, rows, places.source, sentences=sentences, about=about
            )
        else:
            yield Progress("loading the encoder", 0, 0, "")
            encoder = text_encoder.sentence_encoder
            sentences = yield from vocabulary.sentences(captions.texts)
            report = yield from EmbeddingMatrix.build(
                folder, recipe, sentences=sentences, vectors=vocabulary.vectors, encoder=encoder, about=about
            )
    matrix = EmbeddingMatrix(folder)
    if not matrix.sentences.is_sound(len(vocabulary.vectors.rows)):
        advice = "let it be found, so that the next start makes it again: infersent-tui doctor --deep"
        raise AssetError(folder, "its token ids are damaged", advice=advice)
    report = replace(report, seconds=time.perf_counter() - start)
    second_matrix = "" if places.second is None else places.second.matrix.name
    return Opened(
        setup,
        cache,
        captions=captions,
        text_encoder=text_encoder,
        matrix=matrix,
        sample=Sample(captions, matrix),
        searcher=MatrixSearcher(matrix, device=setup.device),
        folds=Folds(captions),
        report=report,
        second_matrix=second_matrix,
    )


def shards_of(setup: Setup, places: Places, cache: Cache) -> Shards:
    """Return the shards of a matrix that is not whole yet, whether they are there or not."""
    return Shards(cache.folder("shards", ""), places.matrix, places.recipe, _about(setup, places))


def _about(setup: Setup, places: Places) -> str:
    """Describe a matrix for display: which model, which captions."""
    captions = places.captions
    return f"{setup.model_name} · {captions_name_of(setup, captions)} ({len(captions):,}) · {places.recipe.dtype}"
