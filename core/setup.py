"""Setup: the files and settings that determine every answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from core.assets import RANDOM, AssetError, Assets, version_of
from core.corpus.table import ReadOptions
from core.encoding.encoder import SentenceEncoder
from core.encoding.weights import choose_device, choose_dtype
from core.store.plain import refuse_pipes


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
    untrained: bool = False
    """Whether the encoder has untrained weights of the shapes of these weights in their place."""
    second: Setup | None = None
    """A second encoder over the same captions; None for one encoder alone."""

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

    def with_second(self, weights: Path, vectors: Path | None) -> Setup:
        """Return this setup with a second encoder.

        Args:
            weights: Its weights; `RANDOM` for untrained ones of the shapes of the first encoder's. Its version is that
                of the first, unless the name tells another one.
            vectors: Its word vectors; None for those of the first encoder.

        Raises:
            AssetError: A file is missing, or there are no weights whose shapes untrained ones could have.
        """
        untrained = str(weights) == RANDOM
        refuse_pipes(None if untrained else weights, vectors)
        own, shared = self.encoder_files() if untrained else (weights, self.assets.vectors)
        version = self.assets.version if untrained else version_of(own) or self.assets.version
        try:
            assets = Assets.find(weights=own, vectors=vectors or shared, captions=self.assets.captions, version=version)
        except AssetError as error:
            raise error.about_second() from error
        return replace(self, second=replace(self, assets=assets, untrained=untrained))

    @property
    def model_name(self) -> str:
        """Display name of the encoder, or of the embeddings that are given in its place."""
        if self.untrained:
            return RANDOM
        source = self.assets.weights or self.assets.embeddings
        return "demo encoder" if self.assets.is_demo_encoder or source is None else source.stem

    def encoder_files(self) -> tuple[Path, Path]:
        """Return the weights and their word vectors.

        Raises:
            AssetError: Embeddings are given, which have no encoder.
        """
        if self.assets.weights is None or self.assets.vectors is None:
            advice = "this needs an encoder: leave out --embeddings"
            raise AssetError(self.assets.embeddings or "", "is without the encoder that made it", advice=advice)
        return self.assets.weights, self.assets.vectors

    def load_encoder(self, word_dim: int) -> SentenceEncoder:
        """Load the sentence encoder for word vectors of width `word_dim`.

        Raises:
            AssetError: The weights cannot be used, or were trained with vectors of another width.
        """
        weights, _ = self.encoder_files()
        encoder = SentenceEncoder.load(weights, device=self.device, dtype=self.dtype, is_trained=not self.untrained)
        self.check_width(word_dim, encoder.word_dim)
        return encoder

    def check_width(self, word_dim: int, expected: int) -> None:
        """Check that the word vectors have the width that the weights expect.

        Raises:
            AssetError: They have another one.
        """
        weights, vectors = self.encoder_files()
        if word_dim != expected:
            raise AssetError(
                vectors,
                f"its vectors have {word_dim} numbers",
                expected=f"{expected}, as {weights} says",
                advice="name the vectors that the weights were trained with: --vectors",
            )
