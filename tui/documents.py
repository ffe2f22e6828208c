"""Documents: answers and comparisons as values for `--json` and as text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Any

from tui.output import tell, tell_lines, tell_row
from tui.text import counted, visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.answers import Answer
    from core.corpus.captions import Captions
    from core.opened import Opened
    from core.query import Token
    from core.ranking.comparison import Comparison
    from core.ranking.ranking import Ranking
    from core.ranking.regions import Regions
    from tui.session import Visit


def answer_document(opened: Opened, answer: Answer) -> dict[str, Any]:
    """Return an answer as values for JSON."""
    query, verdict = answer.query, answer.verdict
    return {
        "query": query.text,
        "method": answer.method,
        "filter": {"text": answer.among.text, "captions": answer.searched} if answer.among.conditions else None,
        "tokens": _tokens(query.tokens),
        "feature": query.feature,
        "terms": [{"weight": term.weight, "text": term.text, "tokens": _tokens(term.tokens)} for term in query.terms],
        "verdict": verdict and asdict(verdict),
        "hits": hit_documents(opened.captions, answer.hits, answer.closer_than),
        "timings_ms": answer.timings_ms,
        "model": opened.encoder_of(answer.method).setup.model_name,
        "captions": opened.captions_name,
        "corpus": corpus_document(opened.captions),
    }


def corpus_document(captions: Captions) -> dict[str, Any]:
    """Return what was understood of a captions file as values for JSON."""
    return {
        "rows": len(captions),
        "images": captions.images,
        "layout": captions.layout,
        "first": captions.first,
        "empty": captions.empty,
        "broken_lines": list(captions.broken),
        "mended": list(captions.notes),
    }


def regions_document(captions: Captions, regions: Regions) -> dict[str, Any]:
    """Return the regions of captions as values for JSON, with their number and the seed of k-means."""
    from core.ranking.regions import SEED  # torch is not loaded for `--help`

    listed = [
        {
            "number": each.number,
            "name": each.name,
            "words": list(each.words),
            "captions": each.captions,
            "central": caption_document(captions, each.central),
        }
        for each in regions.regions
    ]
    return {"k": len(listed), "seed": SEED, "held": regions.held, "regions": listed}


def comparison_document(opened: Opened, comparison: Comparison, k: int) -> dict[str, Any]:
    """Return the first k hits of each list of a comparison as values for JSON."""
    captions = opened.captions
    return {
        "query": comparison.query,
        "row": comparison.row,
        "methods": {
            method: [caption_document(captions, hit.row) | asdict(hit) for hit in hits[:k]]
            for method, hits in comparison.lists.items()
        },
        "overlaps": [asdict(overlap) for overlap in comparison.overlaps],
        "model": opened.setup.model_name,
        "captions": opened.captions_name,
        "corpus": corpus_document(opened.captions),
    }


_ASCII = str.maketrans({"−": "-", "→": ">", "·": "*", "“": '"', "”": '"'})


def _can_print(text: str) -> bool:
    """Tell whether the encoding of standard output has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def print_answer(opened: Opened, answer: Answer, *, one_of_many: bool, quiet: bool) -> None:
    """Print the verdict and the hits on stdout, below the query where it is one of many; else this is on stderr."""
    query, verdict, captions = answer.query, answer.verdict, opened.captions
    if one_of_many:
        tell(f"> {query.text}")
    elif not quiet:
        model = opened.encoder_of(answer.method).setup.model_name
        source = f"{model} · {opened.captions_name} ({counted(len(captions), 'caption')})"
        tell(f"{query.text}   [{source}]", err=True)
        for term in query.terms:
            tell(f"{term.weight:+g} × {term.text}", err=True)
    if verdict:
        tell((opened.name_of(answer.method) if verdict.level is None else verdict.level).upper())
        width = shutil.get_terminal_size((100, 0)).columns
        for reason in (*verdict.reasons, *([f"→ {verdict.advice}"] if verdict.advice else [])):
            line = fill(visible(reason), width, initial_indent="  ", subsequent_indent="    ")
            tell_lines(line if _can_print("−→·“”") else line.translate(_ASCII))
    for hit in hit_documents(captions, answer.hits, answer.closer_than):
        tell(f"{hit['rank']:4}  {_value(hit):.4f}  {hit['caption']}")
    if one_of_many:
        tell()
    if not len(answer.hits) and not quiet:
        tell("no hits", err=True)


def print_plain(opened: Opened, answer: Answer) -> None:
    """Print one hit per line: rank, distance or score, row, image id, caption."""
    for hit in hit_documents(opened.captions, answer.hits, answer.closer_than):
        image = "" if hit["image_id"] is None else hit["image_id"]
        tell_row(hit["rank"], f"{_value(hit):.6f}", hit["row"], image, hit["caption"])


def print_comparison(opened: Opened, comparison: Comparison, k: int) -> None:
    """Print the first k hits of each list on stdout, or why there are none, and the overlaps on stderr."""
    captions, name = opened.captions, opened.name_of
    for overlap in comparison.overlaps:
        if all(comparison.lists[method] for method in overlap.methods):
            tell(f"overlap@10  {' and '.join(map(name, overlap.methods))}: {overlap.hits}", err=True)
    for method, hits in comparison.lists.items():
        tell(name(method))
        if not hits:
            tell(f"  {opened.lacks(method) or 'no hits'}")
        for hit in hits[:k]:
            value = hit.distance if hit.score is None else hit.score
            ranks = ", ".join(f"{name(other)} {rank or '-'}" for other, rank in hit.ranks.items())
            tell(f"{hit.rank:4}  {value:.4f}  {captions.texts[hit.row]}  [{ranks}]")


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a nested document."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name} ")
        elif isinstance(value, list):
            for item in value or ["none"]:
                yield prefix + name, item
        else:
            yield prefix + name, value


HIT_COLUMNS = ("rank", "distance", "score", "closer_than", "row", "caption", "caption_id", "image_id", "file_name")
"""The keys of `hit_documents`."""


def hit_documents(
    captions: Captions, hits: Ranking, closer: NDArray[np.float64] | None = None, *, places: range | None = None
) -> list[dict[str, Any]]:
    """Return hits as values for JSON, all or those at some places; `closer` is the `Answer.closer_than` of all."""
    places = range(len(hits)) if places is None else places
    return [
        {
            "rank": i + 1,
            "distance": float(hits.distances[i]) if hits.scores is None else None,
            "score": None if hits.scores is None else float(hits.scores[i]),
            "closer_than": None if closer is None else float(closer[i].round(6)),
        }
        | caption_document(captions, int(hits.rows[i]))
        for i in places
    ]


def caption_document(captions: Captions, row: int) -> dict[str, Any]:
    """Return a caption as values for JSON: its row, its text and what its file says of it."""
    return {
        "row": row,
        "caption": captions.texts[row],
        "caption_id": captions.id(row),
        "image_id": captions.group(row),
        "file_name": captions.file_name(row),
    }


def comparison_rows(captions: Captions, comparison: Comparison) -> list[dict[str, Any]]:
    """Return the hits of a comparison as rows with equal keys, list after list."""
    return [
        {"method": method, "rank": hit.rank, "distance": hit.distance, "score": hit.score}
        | caption_document(captions, hit.row)
        | {"shared": " ".join(hit.shared)}
        for method, hits in comparison.lists.items()
        for hit in hits
    ]


def visit_documents(visits: Sequence[Visit]) -> list[dict[str, Any]]:
    """Return the visits of a trail as values for JSON."""
    return [
        {
            "visit": visit.number,
            "from": None if visit.came_from is None else visit.came_from.number,
            "how": visit.how,
            "query": visit.text,
            "row": visit.row,
            "step": visit.step,
            "from_start": visit.drift,
            "verdict": visit.level,
        }
        for visit in visits
    ]


def _value(hit: dict[str, Any]) -> float:
    """Return a hit's distance, or its score if the method has scores."""
    value: float = hit["distance"] if hit["score"] is None else hit["score"]
    return value


def _tokens(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    return [{"text": token.text, "known": token.known, "importance": round(token.importance, 6)} for token in tokens]
