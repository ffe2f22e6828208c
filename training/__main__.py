"""Provide the command line `python -m training demo | own | evaluate`."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click

from training import card, heldout, sources, words
from training.pipeline import ENCODER, VECTORS, Summary, make
from training.train import Plan

_ROOT = Path(__file__).resolve().parent.parent
_DEMO = _ROOT / "core" / "demo"
_CACHE = _ROOT / "cache" / "training"
_PLANS = (  # the phases of the bundled encoder
    Plan(steps=2_900, cycle=4_000, decay_steps=900, dropout=0.1),
    Plan(steps=2_200, cycle=2_200, rate=1.2e-3, evenness=0.25, sibling_weight=0.5),
    Plan(steps=2_600, cycle=2_600, rate=1.2e-3, evenness=0.25, sibling_weight=0.5, spelling_weight=0.15),
)
_VOCABULARY_SIZE = 33_000  # distinct lower-case words
_WORD_DIM = 256

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW = click.Path(path_type=Path)


@click.group()
def main() -> None:
    """Train and measure small encoders of InferSent's architecture."""


@main.command()
@click.option("--data", type=_FOLDER, required=True, help="Folder with coco, flickr, nli, sts, cxc and glove.")
@click.option("--wordnet", type=_FOLDER, help="Folder with WordNet 3.0's data.noun (Debian: wordnet-base).")
@click.option("--out", type=_NEW, default=_DEMO, show_default=True, help="Folder for the two files.")
@click.option("--cache", type=_NEW, default=_CACHE, show_default=True, help="Folder for embeddings and checkpoints.")
@click.option(
    "--phase", type=click.IntRange(1, len(_PLANS)), default=1, show_default=True, help="First phase; 2 and 3 read OUT."
)
def demo(*, data: Path, wordnet: Path | None, out: Path, cache: Path, phase: int) -> None:
    """Train the bundled encoder; an interrupted run resumes from its last checkpoint."""
    sentences = sources.demo_sentences(data, wordnet)
    for source, count in sentences.counts().items():
        _report(f"{source}: {count:,} sentences")
    summary = make(
        sentences,
        _PLANS,
        out,
        common=words.common_words(data / "glove" / "glove.6B.50d.caption-vocab.vec.gz"),
        size=_VOCABULARY_SIZE,
        dim=_WORD_DIM,
        held_out=heldout.folded_sentences(data),
        cache=cache,
        first=phase,
        report=_report,
    )
    if (out / "README.md").exists():
        card.write_section(out / "README.md", "training", _facts(sentences, summary, out))


@main.command()
@click.argument("file", type=_FILE)
@click.option("--out", type=_NEW, required=True, help="Folder for the two files.")
@click.option("--cache", type=_NEW, help="Folder for teacher embeddings and checkpoint; default: OUT/cache.")
@click.option("--steps", default=1_000, type=click.IntRange(20), show_default=True, help="Number of batches of 384.")
@click.option("--hidden", default=512, show_default=True, help="Hidden units per direction.")
@click.option("--more-words", type=_FILE, default=_DEMO / VECTORS, help="A .vec file whose words also get vectors.")
def own(*, file: Path, out: Path, cache: Path | None, steps: int, hidden: int, more_words: Path) -> None:
    """Train an encoder on your own sentences.

    FILE has one sentence per line. Blank lines can separate groups of sentences with nearly the same meaning, such as
    the captions of one image; groups improve the training.
    """
    sentences = sources.own_sentences(file)
    if len(sentences.texts) < 2:
        raise click.ClickException(f"{file} holds fewer than two sentences")
    make(
        sentences,
        [Plan(steps=steps, cycle=steps, hidden=hidden)],
        out,
        common=words.common_words(more_words),
        size=_VOCABULARY_SIZE,
        dim=_WORD_DIM,
        held_out=set(),
        cache=cache or out / "cache",
        report=_report,
    )
    click.echo(f"infersent-tui --model {out / ENCODER} --vectors {out / VECTORS}")


@main.command()
@click.option("--data", type=_FOLDER, required=True, help="The folder with coco, nli, sts and cxc.")
@click.option("--model", type=_FILE, default=_DEMO / ENCODER, show_default=True)
@click.option("--vectors", type=_FILE, default=_DEMO / VECTORS, show_default=True)
@click.option("--teacher/--no-teacher", default=True, help="Also measure the teacher (takes minutes the first time).")
@click.option("--cache", type=_NEW, default=_CACHE, show_default=True, help="Folder for teacher embeddings.")
@click.option("--json", "json_file", type=_NEW, help="Also write the figures to this file.")
@click.option("--card", "card_file", type=_FILE, help="Also write the figures into this model card.")
def evaluate(
    *,
    data: Path,
    model: Path,
    vectors: Path,
    teacher: bool,
    cache: Path,
    json_file: Path | None,
    card_file: Path | None,
) -> None:
    """Measure an encoder, mean word vectors, BM25 and the teacher on the held-out sets."""
    from training import evaluate as measure
    from training import teacher as teachers

    figures: dict[str, measure.Figures] = {}
    with tempfile.TemporaryDirectory() as store:
        files = measure.Files.load(model, vectors, store=Path(store) / "vectors")
        for name, encode in (("encoder", files.sentences), ("mean word vectors", files.words)):
            figures[name] = measure.agreement(encode, data) | measure.retrieval(encode, data)
            _report(f"{name}: {figures[name]}")
    captions = heldout.coco_val2017(data)
    recall = measure.sibling_recall(captions, measure.bm25_nearest(captions.texts))
    figures["BM25"] = {measure.RECALL: recall}
    if teacher:
        figures["teacher"] = measure.agreement(
            lambda texts: teachers.embed(texts, cache=cache / "teacher", report=_report).astype("float32"), data
        )
    text = card.figures_table(figures)
    click.echo(text)
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if card_file:
        card.write_section(card_file, "figures", text)


def _facts(sentences: sources.Sentences, summary: Summary, out: Path) -> str:
    size = sum((out / name).stat().st_size for name in (ENCODER, VECTORS))
    rows = [
        ("sentences", f"{summary.sentences:,}, variations included"),
        *((f"... {source}", f"{count:,}") for source, count in sentences.counts().items()),
        ("words", f"{summary.rows:,} rows, {summary.distinct:,} distinct vectors of {summary.dim} numbers"),
        ("LSTM", f"2 x {_PLANS[0].hidden} units, embeddings of {2 * _PLANS[0].hidden} numbers"),
        *((f"phase {number}", _phase(plan)) for number, plan in enumerate(_PLANS, start=1)),
        ("seed", f"{_PLANS[0].seed}"),
        ("time of the training loops", f"{summary.seconds / 60:.0f} minutes on two shared CPU cores"),
        ("size of the two files", f"{size / 1e6:.1f} MB"),
    ]
    return card.table(["", "value"], rows)


def _phase(plan: Plan) -> str:
    text = f"{plan.steps:,} steps of {plan.batch} sentences, AdamW, "
    text += f"one-cycle learning rate over {plan.cycle:,} steps, maximum {plan.rate:g}"
    if plan.spelling_weight:
        text += f", weight of spelling {plan.spelling_weight:g}"
    if plan.decay_steps:
        text += f", linear decay to 0 from step {plan.steps - plan.decay_steps:,} on"
    return text


def _report(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


if __name__ == "__main__":
    main()
