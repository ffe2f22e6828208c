"""The bundled demo: what its captions are like, and that its encoder shows something true."""

import csv
import gzip
import json
import re
from collections import Counter

import numpy as np
import pytest
from conftest import SHARED, ask_caption, needs_real_captions, real_captions

from core.assets import DEMO_DIR, Assets
from core.corpus.captions import Captions
from core.explorer import Explorer
from core.opening import open_
from core.setup import Setup
from core.store.progress import finish


@pytest.fixture(scope="module")
def captions():
    return Captions.read(DEMO_DIR / "captions.json")


def fold(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()


def test_there_are_at_least_480_scenes_with_five_captions_each(captions):
    per_scene = Counter(captions.groups.tolist())
    assert len(captions) >= 2400
    assert len(per_scene) >= 480
    assert set(per_scene.values()) == {5}


def test_no_caption_stands_twice(captions):
    assert len({fold(text) for text in captions.texts}) == len(captions)


def test_captions_are_as_long_as_cocos(captions):
    """COCO val2017: mean 10.4 words, standard deviation 2.3; here 6 to 20 words each."""
    lengths = np.array([len(text.split()) for text in captions.texts])
    assert 10 <= lengths.mean() <= 12
    assert 1.8 <= lengths.std() <= 3
    assert lengths.min() >= 6
    assert lengths.max() <= 20


@needs_real_captions
def test_no_caption_is_taken_from_a_data_set(captions):
    taken: set[str] = set()
    for name in ("captions_val2014_subset", "captions_val2017"):
        document = json.loads(gzip.decompress((SHARED / "coco" / f"{name}.json.gz").read_bytes()))
        taken |= {fold(annotation["caption"]) for annotation in document["annotations"]}
    with gzip.open(SHARED / "coco" / "coco_30k.csv.gz", "rt", encoding="utf-8") as file:
        taken |= {fold(row["prompt"]) for row in csv.DictReader(file)}
    lines = (SHARED / "coco" / "train2014_first2000_lowercase.txt").read_text(encoding="utf-8").splitlines()
    taken |= {fold(line.partition(" ")[2]) for line in lines}
    for path in (SHARED / "flickr").glob("*.en.gz"):
        taken |= {fold(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()}
    for path in (SHARED / "nli").glob("snli.s*.dev"):
        taken |= {fold(line) for line in path.read_text(encoding="utf-8").splitlines()}
    assert len(taken) > 200_000
    assert not taken & {fold(text) for text in captions.texts}


def test_the_demo_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in DEMO_DIR.glob("*")) < 25_000_000


def test_nearly_every_word_of_the_captions_is_known(demo):
    vocabulary = demo.opened.text_encoder.vocabulary
    tokens = Counter(token for text in demo.opened.captions.texts for token in vocabulary.tokenizer.tokenize(text))
    known = vocabulary.vectors.find(list(tokens)) >= 0
    assert (
        sum(count for count, is_known in zip(tokens.values(), known, strict=True) if is_known) / tokens.total() > 0.995
    )
    assert len(demo.opened.matrix.sentences.wordless()) == 0
    assert len(vocabulary.vectors) >= 30_000


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("a kitten is asleep on the couch", ("cat", "kitten")),
        ("an airliner waits on the tarmac", ("plane", "airplane", "jet")),
        ("a youngster swings at the ball with a bat", ("bat", "batter", "baseball")),
    ],
)
def test_neighbours_share_the_meaning_without_the_words(demo, query, words):
    nearest = [demo.opened.captions.texts[row] for row in demo.ask(query).hits.rows[:5]]
    assert any(word in re.findall(r"\w+", text.lower()) for text in nearest for word in words), nearest


def test_siblings_are_nearer_than_chance_by_far(demo):
    """Another caption of the same scene is often among the ten nearest of a caption; by chance in 1.5 % of cases."""
    groups = demo.opened.captions.groups
    rows = range(0, len(demo.opened.captions), 13)
    found = [bool((groups[ask_caption(demo, row).hits.rows[1:11]] == groups[row]).any()) for row in rows]
    assert np.mean(found) > 0.4


@needs_real_captions
def test_the_rainbow_finds_the_green_light(tmp_path, demo):
    """The notebook's example: meaning without shared words, among real captions."""
    document = json.loads(gzip.decompress(real_captions.read_bytes()))
    light = "There is a green street light hanging over this empty intersection."
    texts = [a["caption"].strip().replace("\n", " ") for a in document["annotations"]][::9]
    path = tmp_path / "captions.txt"
    path.write_text("\n".join([light, *(text for text in texts if text != light)]), encoding="utf-8")
    explorer = Explorer(finish(open_(Setup(assets=Assets.find(captions=path)), demo.opened.cache)))
    rank = explorer.ask("a rainbow is in the sky over an empty stretch of road").hits.rows.tolist().index(0) + 1
    assert rank <= 20
