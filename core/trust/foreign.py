"""Foreign sentences: test queries that have nothing to do with a corpus of image captions."""

from __future__ import annotations

import numpy as np

from core.assets import DEMO_DIR
from core.corpus.sentences import Sentences
from core.corpus.vocabulary import Vocabulary
from core.trust.probes import LENGTHS, Kind, Probe

_FILE = DEMO_DIR / "foreign.txt"


def foreign_sentences() -> list[str]:
    """Read the bundled sentences: news, science, law, chat, instructions, poems and comments in code."""
    return [line.partition("\t")[2] for line in _FILE.read_text(encoding="utf-8").splitlines()]


def cut_foreign(sentences: Sentences, vocabulary: Vocabulary, random: np.random.Generator) -> list[Probe]:
    """Cut a run of tokens of each length from each sentence, and take each whole.

    Cuts whose words all occur in the captions, `sentences`, are dropped: they may belong to the corpus. The source of a
    cut is the number of its sentence.
    """
    probes = []
    for number, text in enumerate(foreign_sentences()):
        ids = vocabulary.look_up(text).ids[1:-1]  # (T,) the known tokens
        words = vocabulary.words(ids.tolist())
        for length in (*LENGTHS, 0):
            if len(ids) < max(length, 1):
                continue
            start = int(random.integers(len(ids) - length + 1)) if length else 0
            part = slice(start, start + length) if length else slice(None)
            if not sentences.count(ids[part]).all():
                kind: Kind = "span" if length else "whole"
                probes.append(Probe(kind, length, number, tuple(words[part]), tuple(ids[part].tolist())))
    return probes
