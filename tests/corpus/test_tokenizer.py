"""The tokenizer: NLTK's `word_tokenize`, with a fast path and version 2's own `n't`."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import nltk
import pytest
from conftest import SHARED, needs_real_captions, real_captions
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer

from core.corpus.tokenizer import MARKS, Tokenizer

PUNKT = SHARED / "nltk_data"
needs_punkt = pytest.mark.skipif(not (PUNKT / "tokenizers" / "punkt_tab").is_dir(), reason="punkt_tab is not here")

WORDS = """
    a A cat dogs riding T-shirt well-lit cannot Cannot CANNOT can not gonna Gimme gotta lemme wanna dunno more'n 'tis
    'twas d'ye don't Don't DON'T won't can't isn't it's dog's dogs' I'm you're we've she'll he'd o'clock rock'n'roll
    Mr Mr. Dr. U.S. U.S.A. e.g. i.e. etc. a.m. St. No. 1 2 3.5 1,000 10:30 50% $5 #1 1/2 1-2 - -- --- . .. ... … , ; :
    ! ? ( ) [ ] { } < > " '' ` `` ' & @ * / \\ _ ~ ^ | + = « » “ ” ‘ ’ don’t é über café 猫 кошка 👍 <p> </p> <s> [b]
""".split()
GAPS = ["", " ", "  ", "\t", "\u00a0", ". ", " .", ", ", "-", "."]
texts = st.one_of(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), max_size=12).map(
        lambda parts: "".join(word + gap for word, gap in parts)
    ),
    st.text("abAB .,-'09", max_size=30),
    st.text(max_size=30),
)


def reference(text: str, version: int) -> list[str]:
    """InferSent's way, as its description says, over the untrained splitter."""
    sentences = PunktSentenceTokenizer().tokenize(text)
    words = [word for sentence in sentences for word in NLTKWordTokenizer().tokenize(sentence)]
    return " ".join(words).replace(" n't ", "n 't ").split() if version == 2 else words


@pytest.fixture
def no_punkt_data(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [])


@pytest.fixture
def punkt_data(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(PUNKT)])


@settings(deadline=None, max_examples=400)
@given(texts, st.sampled_from([1, 2]))
@example("Cannot wait", 2)
@example("a dog -.", 2)
@example("a. b.", 2)
@example("A man. ", 2)
@example("a dog, a cat , and 1,000 birds,", 2)
@example("a, , b, .", 2)
@example("I cannot, ever.", 1)
@example("a --- b", 1)
def test_every_text_gets_the_tokens_of_word_tokenize(text, version):
    tokenizer = Tokenizer(version)
    tokenizer.__dict__["_has_punkt_data"] = False  # the data may or may not be on this machine
    assert tokenizer.tokenize(text) == reference(text, version)


@pytest.fixture(scope="module")
def trained():
    """A tokenizer over the punkt data; NLTK's own `word_tokenize` keeps the data from the first call on, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "path", [str(PUNKT)])
        tokenizer = Tokenizer(1)
        assert tokenizer.tokenize("One; two.") == nltk.word_tokenize("One; two.")
        yield tokenizer


@needs_punkt
@settings(deadline=None, max_examples=400)
@given(text=texts)
def test_with_punkt_data_every_text_gets_the_tokens_of_word_tokenize(trained, text):
    assert trained.tokenize(text) == nltk.word_tokenize(text)


@needs_real_captions
@needs_punkt
def test_real_captions_get_the_tokens_of_word_tokenize(trained):
    with gzip.open(real_captions) as file:
        annotations = json.load(file)["annotations"]
    sample = [annotation["caption"] for annotation in annotations[:: len(annotations) // 1500]]
    assert [trained.tokenize(text) for text in sample] == [nltk.word_tokenize(text) for text in sample]


def test_version_2_writes_negations_its_own_way(no_punkt_data):
    assert Tokenizer(2).tokenize("Dogs don't sleep and can't swim.") == "Dogs don 't sleep and can 't swim .".split()


def test_version_1_leaves_negations_as_nltk_writes_them(no_punkt_data):
    assert Tokenizer(1).tokenize("Dogs don't sleep.") == ["Dogs", "do", "n't", "sleep", "."]


def test_version_2_leaves_a_negation_at_the_end_of_the_text_alone(no_punkt_data):
    assert Tokenizer(2).tokenize("no they don't") == ["no", "they", "do", "n't"]


@pytest.mark.parametrize("text", ["A Red BUS", "A Red BUS, parked."])
def test_case_is_kept(text):
    assert Tokenizer(2).tokenize(text)[:3] == ["A", "Red", "BUS"]


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u00a0"])
def test_a_blank_text_has_no_tokens(text):
    assert Tokenizer(2).tokenize(text) == []


def test_plain_texts_need_no_nltk():
    code = (
        "import sys; from core.corpus.tokenizer import Tokenizer; "
        "assert Tokenizer(2).tokenize('Two dogs on a well-lit street.')[-1] == '.'; "
        "sys.exit('nltk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_many_blanks_inside_a_text_end():
    assert Tokenizer(2).tokenize("a" + " " * 100_000 + "!") == ["a", "!"]


def test_without_punkt_data_the_name_says_untrained(no_punkt_data):
    assert Tokenizer(2).name == f"word_tokenize (untrained punkt, nltk {nltk.__version__})"


@needs_punkt
def test_with_punkt_data_the_name_says_punkt_tab(punkt_data):
    assert Tokenizer(2).name == f"word_tokenize (punkt_tab, nltk {nltk.__version__})"


@needs_punkt
def test_punkt_data_is_found_through_the_environment():
    code = (
        "from core.corpus.tokenizer import Tokenizer; t = Tokenizer(1); "
        "print(t.name); print(t.tokenize('Mr. Fox, here. Go!'))"
    )
    environment = os.environ | {"NLTK_DATA": str(PUNKT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    name, tokens = run.stdout.splitlines()
    assert "punkt_tab" in name
    assert tokens == str("Mr. Fox , here . Go !".split())


@needs_punkt
def test_the_two_sentence_splitters_differ_only_where_a_stop_may_end_a_sentence(monkeypatch):
    text = "It was built by Dr. Stone, they say."
    monkeypatch.setattr(nltk.data, "path", [str(PUNKT)])
    trained = Tokenizer(2).tokenize(text)
    monkeypatch.setattr(nltk.data, "path", [])
    untrained = Tokenizer(2).tokenize(text)
    assert "Dr." in trained
    assert "".join(trained) == "".join(untrained)


def test_each_version_has_its_marks():
    assert Tokenizer(1).marks == ("<s>", "</s>") == MARKS[1]
    assert Tokenizer(2).marks == ("<p>", "</p>") == MARKS[2]


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_another_version_is_refused(version):
    with pytest.raises(ValueError, match="must be 1 or 2"):
        Tokenizer(version)


def test_marks_typed_as_text_are_not_marks(no_punkt_data):
    tokens = Tokenizer(2).tokenize("<p> a kite </p>")
    assert not set(tokens) & set(MARKS[2])


@pytest.mark.parametrize("named", ["", f"/one{os.pathsep}{os.pathsep}~/two"])
def test_data_is_looked_for_where_nltk_looks(named):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from core.corpus.tokenizer import data_folders; ours = data_folders();"
            "assert 'nltk' not in sys.modules;"
            "import nltk; assert [str(folder) for folder in ours] == nltk.data.path, (ours, nltk.data.path)",
        ],
        env=os.environ | {"NLTK_DATA": named},
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
