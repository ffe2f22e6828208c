"""Word vectors: the text formats that people have, the store they become, and what is no vector file."""

import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import write_vectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.assets import AssetError
from core.corpus import vec_file as vec_file_module
from core.corpus.vec_file import VecFile
from core.corpus.vectors import WordVectors
from core.store.cache import Cache
from core.store.locks import unless_locked
from core.store.progress import finish

LINES = "the 0.5 -1 2\nkite 1e-3 4 5.25\n</p> 7 8 9\n"


def converted(path: Path, **options: int) -> WordVectors:
    folder = path.parent / "store" / path.name
    finish(WordVectors.convert(VecFile(path), folder))
    return WordVectors(folder, **options)


def write(path: Path, data: str | bytes) -> Path:
    """Write a vector file, packed as its name's ending says."""
    data = data.encode() if isinstance(data, str) else data
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", "about these vectors")
            archive.writestr(path.with_suffix(".vec").name, data)
    else:
        path.write_bytes(data)
    return path


def contents(store: WordVectors) -> dict[str, list[float]]:
    return {store.word(row): store.rows[row].tolist() for row in range(len(store.rows))}


def fails(path: Path, match: str) -> None:
    """Converting gives an error that names the file and says what to do, and leaves no store."""
    with pytest.raises(AssetError, match=match) as caught:
        converted(path)
    assert caught.value.path == str(path)
    assert caught.value.advice
    assert [left.name for left in path.parent.glob("store/*") if left.suffix != ".lock"] == []


# What is read.


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", "3 3\n"])
@pytest.mark.parametrize("ending", [".vec", ".txt", ".vec.gz", ".zip"])
def test_every_form_of_the_file_gives_the_same_vectors(tmp_path, ending, header, end):
    store = converted(write(tmp_path / f"a{ending}", (header + LINES).replace("\n", end)))
    expected = {"the": [0.5, -1.0, 2.0], "kite": [np.float32(1e-3), 4.0, 5.25], "</p>": [7.0, 8.0, 9.0]}
    assert contents(store) == expected
    assert (len(store), store.dim, store.broken_lines) == (3, 3, 0)
    assert store.rows.dtype == np.float32


@pytest.mark.parametrize("header", [True, False])
def test_the_width_of_the_vectors_is_told_without_converting_them(tmp_path, header):
    path = write_vectors(tmp_path / "a.vec", ["kite", "dog"], dim=7, header=header)
    assert VecFile(path).read_dim() == 7
    assert list(tmp_path.iterdir()) == [path]


def test_the_width_of_what_are_no_vectors_is_an_error(tmp_path):
    path = tmp_path / "a.vec"
    for data, found in (("", "is empty"), ("<html>", "HTML or XML page")):
        path.write_text(data)
        with pytest.raises(AssetError, match=found):
            VecFile(path).read_dim()


def test_words_are_found_exactly_as_they_are_in_the_file(tmp_path):
    store = converted(write(tmp_path / "a.vec", LINES))
    assert store.find(["kite", "Kite", "the", "", "kit", "kites", "</p>"]).tolist() == [1, -1, 0, -1, -1, -1, 2]
    assert store.find([]).tolist() == []
    assert store.find(["kite", "kite"]).dtype == np.int32


def test_half_a_character_is_an_unknown_word(tmp_path):
    store = converted(write(tmp_path / "a.vec", "? 1 2\nkite 3 4\n"))
    assert store.find(["\ud83d", "?"]).tolist() == [-1, 0]


@pytest.mark.parametrize("text", ["kite 1 2 3", "1 3\nkite 1 2 3", "kite 1 2 3\r"])
def test_a_file_of_one_line_without_a_newline_is_read(tmp_path, text):
    assert contents(converted(write(tmp_path / "a.vec", text))) == {"kite": [1.0, 2.0, 3.0]}


def test_tokens_may_hold_blanks(tmp_path):
    store = converted(write(tmp_path / "a.vec", "the 1 2\n. . . 3 4\nat 5 pm 5 6\nkite 7 8\n"))
    assert contents(store) == {"the": [1, 2], ". . .": [3, 4], "at 5 pm": [5, 6], "kite": [7, 8]}
    assert store.find([". . .", "at"]).tolist() == [1, -1]
    assert store.broken_lines == 0


@pytest.mark.parametrize("end", [" \n", "  \n", " \r\n", "\t\n"])
def test_blanks_at_the_end_of_a_line_are_no_part_of_it(tmp_path, end):
    store = converted(write(tmp_path / "a.vec", f"2 2{end}the 1 2{end}kite 3 4{end}"))
    assert contents(store) == {"the": [1, 2], "kite": [3, 4]}
    assert store.broken_lines == 0


def test_empty_lines_do_not_count(tmp_path):
    store = converted(write(tmp_path / "a.vec", "the 1 2\n\nkite 3 4\n  \n\n"))
    assert contents(store) == {"the": [1, 2], "kite": [3, 4]}
    assert store.broken_lines == 0


def test_broken_lines_are_counted_and_left_out(tmp_path):
    lines = ["the 1 2 3", "kite", "boat 1 2", "dog 1 x 3", " 4 5 6", "cat 7 8 9", "train 1 2 "]
    store = converted(write(tmp_path / "a.vec", "\n".join(lines)))
    assert contents(store) == {"the": [1, 2, 3], "cat": [7, 8, 9]}
    assert store.broken_lines == 5


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e99", "Infinity"])
def test_a_line_with_a_number_that_is_not_finite_is_broken(tmp_path, value):
    store = converted(write(tmp_path / "a.vec", f"the 1 2\nkite {value} 2\n"))
    assert contents(store) == {"the": [1, 2]}
    assert store.broken_lines == 1


def test_a_word_that_occurs_twice_keeps_its_first_vector(tmp_path):
    store = converted(write(tmp_path / "a.vec", "the 1 2\nkite 3 4\nthe 5 6\nboat 7 8\nthe 9 9\n"))
    assert contents(store) == {"the": [1, 2], "kite": [3, 4], "boat": [7, 8]}
    assert store.find(["boat"]).tolist() == [2]


def test_a_word_that_occurs_again_in_another_block_keeps_its_first_vector(tmp_path, monkeypatch):
    monkeypatch.setattr(vec_file_module, "_BLOCK", 16)
    store = converted(write(tmp_path / "a.vec", "the 1 2\nkite 3 4\nthe 5 6\nboat 7 8\nkite 9 9"))
    assert contents(store) == {"the": [1, 2], "kite": [3, 4], "boat": [7, 8]}


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    assert "the" in contents(converted(write(tmp_path / "a.vec", "\ufeff" + LINES)))
    assert "the" in contents(converted(write(tmp_path / "b.vec", "\ufeff3 3\n" + LINES)))


@pytest.mark.parametrize("ending", [".vec", ".vec.gz"])
@pytest.mark.parametrize("word", ["<s>", "</s>", "{", "<unk>", "[b]", "7", "é", "\u00a0", '"', "'", ",", "\\", "\x00"])
def test_any_word_may_come_first(tmp_path, word, ending):
    store = converted(write(tmp_path / f"a{ending}", f"{word} 1 2 3\nkite 4 5 6\n"))
    assert store.find([word, "kite"]).tolist() == [0, 1]
    assert store.word(0) == word


def test_words_that_are_not_utf_8_do_no_harm(tmp_path):
    store = converted(write(tmp_path / "a.vec", b"B\xe4r 1 2\nkite 3 4\n"))
    assert store.find(["kite", "Bär"]).tolist() == [1, -1]
    assert store.word(0) == "B�r"


def test_only_the_first_words_and_the_marks_are_known_under_a_vocabulary_size(tmp_path):
    path = write_vectors(tmp_path / "a.vec", ["the", "kite", "boat", "<p>", "</p>"], dim=4)
    marks = ("<p>", "</p>")
    store = converted(path, vocab_size=2)
    assert len(store) == 2
    assert store.find(["the", "kite", "boat", *marks], always=marks).tolist() == [0, 1, -1, 3, 4]
    assert store.find(marks).tolist() == [-1, -1]
    assert len(converted(path, vocab_size=99)) == 5
    assert converted(path, vocab_size=0).find(["the", *marks], always=marks).tolist() == [-1, 3, 4]


words = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], blacklist_characters="\ufeff"),
    min_size=1,
    max_size=6,
)
numbers = st.integers(-99_999, 99_999).map(lambda number: f"{number / 10_000:.4f}")
rows = st.lists(
    st.one_of(
        st.tuples(words, st.lists(numbers, min_size=3, max_size=3)),
        st.tuples(st.tuples(words, words).map(" ".join), st.lists(numbers, min_size=3, max_size=3)),
        st.tuples(words, st.lists(numbers, max_size=2)),  # broken
        st.tuples(words, st.lists(st.sampled_from(["x", "nan", "--1"]), min_size=3, max_size=3)),  # broken
    ),
    max_size=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.booleans(), st.sampled_from(["\n", "\r\n", " \n"]), st.sampled_from([64, 1 << 20]))
def test_a_store_holds_what_a_naive_parser_reads(tmp_path_factory, monkeypatch, lines, header, end, block):
    monkeypatch.setattr(vec_file_module, "_BLOCK", block)
    lines = [("first", ["1.0", "2.0", "3.0"]), *lines]
    text = "".join(" ".join([word, *values]) + end for word, values in lines)
    path = write(tmp_path_factory.mktemp("naive") / "a.vec", (f"{len(lines)} 3{end}" if header else "") + text)
    expected, broken = _naive([line for line in text.split("\n") if line], 3)
    store = converted(path)
    assert list(contents(store)) == list(expected)
    np.testing.assert_allclose(store.rows, np.array(list(expected.values())), rtol=1e-6)
    assert store.broken_lines == broken
    assert store.find(list(expected)).tolist() == list(range(len(expected)))


def _naive(lines: list[str], dim: int) -> tuple[dict[str, list[float]], int]:
    found: dict[str, list[float]] = {}
    broken = 0
    for line in lines:
        fields = line.rstrip().split(" ")
        try:
            vector = [float(field) for field in fields[-dim:]]
        except ValueError:
            vector = []
        surplus = fields[1:-dim]
        if (
            len(fields) <= dim
            or (surplus and all(map(_is_number, surplus)))
            or len(vector) < dim
            or not np.isfinite(vector).all()
        ):
            broken += 1
        else:
            found.setdefault(" ".join(fields[:-dim]), vector)
    return found, broken


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_tabs_and_runs_of_blanks_separate_like_blanks(tmp_path):
    store = converted(write(tmp_path / "a.vec", "2 3\nthe\t1\t2\t3\nkite   4  5 \t6\n  boat 7 8 9\n. .\t1 2  3\n"))
    assert contents(store) == {"the": [1, 2, 3], "kite": [4, 5, 6], "boat": [7, 8, 9], ". .": [1, 2, 3]}
    assert store.broken_lines == 0


def test_a_line_with_surplus_numbers_is_broken_and_one_with_surplus_words_is_a_token(tmp_path):
    store = converted(write(tmp_path / "a.vec", "the 1 2 3\nkite 9 1 2 3\nNew York 1 2 3\nat 5 pm 1 2 3\n"))
    assert list(contents(store)) == ["the", "New York", "at 5 pm"]
    assert store.broken_lines == 1


@pytest.mark.parametrize(("promised", "missing"), [(2, 0), (3, 0), (4, 2), (1, 0)])
def test_a_header_that_counts_one_line_more_is_no_damage(tmp_path, promised, missing):
    assert converted(write(tmp_path / "a.vec", f"{promised} 2\nthe 1 2\nkite 3 4\n")).missing_lines == missing


@pytest.mark.parametrize(("announced", "numbers"), [(300, "1 2 3"), (2, "1 2 3")])
def test_a_header_of_another_width_names_both_and_without_it_the_file_is_read(tmp_path, announced, numbers):
    data = f"2 {announced}\nthe {numbers}\nkite {numbers}\n"
    fails(write(tmp_path / "a.vec", data), f"announces {announced} numbers a word, its lines have 3")
    assert len(converted(write(tmp_path / "b.vec", data.split("\n", 1)[1]))) == 2


def test_word2vecs_binary_format_and_fasttexts_model_are_named(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(5, 300)).astype(np.float32)
    data = b"5 300\n" + b"".join(b"word%d " % n + row.tobytes() + b"\n" for n, row in enumerate(numbers))
    fails(write(tmp_path / "a.vec", data), "word2vec's binary format")
    fails(write(tmp_path / "b.vec.gz", data), "word2vec's binary format")
    fails(write(tmp_path / "c.vec", b"\xba\x16\x4f\x2f" + bytes(100)), "fastText's binary model")


def test_the_member_of_an_archive_that_fits_the_weights_is_taken(tmp_path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for dim in (2, 3, 4):
            archive.writestr(f"glove.{dim}d.txt", f"the {' '.join('5' * dim)}\n")
    file = VecFile.choose(path, lambda: 3)
    assert (file.member, file.read_dim()) == ("glove.3d.txt", 3)
    finish(WordVectors.convert(file, tmp_path / "store"))
    assert WordVectors(tmp_path / "store").rows.tolist() == [[5, 5, 5]]
    with pytest.raises(AssetError, match=r"glove.2d.txt \(2 numbers a word\), glove.3d.txt \(3 ") as caught:
        VecFile.choose(path, lambda: 300)
    assert "300" in caught.value.expected
    assert "unzip" in caught.value.advice


def test_a_text_beside_the_vectors_in_an_archive_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("README.txt", "Vectors of words.\n\nMade by us.\n")
        archive.writestr("vectors.txt", LINES)
    assert VecFile.choose(tmp_path / "a.zip", lambda: 3) == VecFile(tmp_path / "a.zip", "vectors.txt")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("README.txt", "Vectors of words.\n")
        archive.writestr("LICENSE.txt", "Take them.\n")
    with pytest.raises(AssetError, match="not a word and numbers"):
        VecFile.choose(tmp_path / "b.zip", lambda: 3)


def test_a_number_of_any_length_in_the_first_line_is_a_word(tmp_path):
    path = write(tmp_path / "a.vec", "1" * 5000 + " 300\n")
    fails(path, "its first line is not a word and numbers")


@pytest.mark.parametrize("ending", [".vec.gz", ".zip"])
def test_a_packed_file_may_have_any_name(tmp_path, ending):
    path = write(tmp_path / f"a{ending}", LINES).rename(tmp_path / "a.vec")
    file = VecFile.choose(path, lambda: 1 // 0)
    assert (file.read_dim(), len(converted(path))) == (3, 3)


def test_the_only_member_of_an_archive_asks_for_no_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.vec", LINES)
    assert VecFile.choose(tmp_path / "a.zip", lambda: 1 // 0).read_dim() == 3


# The store.


def test_a_store_is_opened_without_a_dict_of_words(tmp_path):
    store = converted(write_vectors(tmp_path / "a.vec", [f"word{i}" for i in range(500)]))
    assert not [name for name, value in vars(store).items() if isinstance(value, dict | list | set | tuple)]
    arrays = [value for value in vars(store).values() if isinstance(value, np.ndarray)]
    assert arrays
    assert all(isinstance(array, np.memmap) for array in arrays)


def test_a_second_conversion_does_nothing(tmp_path):
    path = write(tmp_path / "a.vec", LINES)
    finish(WordVectors.convert(VecFile(path), tmp_path / "store"))
    path.unlink()
    assert list(WordVectors.convert(VecFile(path), tmp_path / "store")) == []


def test_progress_is_in_megabytes_of_the_file_and_ends_at_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(vec_file_module, "_BLOCK", 1000)
    path = write_vectors(tmp_path / "a.vec", [f"word{i}" for i in range(100)])
    steps = list(WordVectors.convert(VecFile(path), tmp_path / "store"))
    read = [step for step in steps if step.stage == "converting word vectors"]
    assert [step.unit for step in read] == ["MB"] * len(read)
    done = [step.done for step in read]
    assert done == sorted(done)
    assert done[-1] == read[-1].total == path.stat().st_size / 1e6


def test_a_conversion_stopped_midway_leaves_no_store_and_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(vec_file_module, "_BLOCK", 1000)
    path = write_vectors(tmp_path / "a.vec", [f"word{i}" for i in range(100)])
    steps = WordVectors.convert(VecFile(path), tmp_path / "store" / "abc")
    next(steps)
    next(steps)
    [part] = (tmp_path / "store").glob("*/")
    assert re.fullmatch(r"abc\.[0-9a-f]+\.part", part.name)
    steps.close()
    assert list((tmp_path / "store").glob("*/")) == []
    with unless_locked(tmp_path / "store" / "abc") as free:
        assert free
    finish(WordVectors.convert(VecFile(path), tmp_path / "store" / "abc"))
    assert len(WordVectors(tmp_path / "store" / "abc")) == 100


@pytest.mark.parametrize("name", ["info.json", "rows.npy", "hashes.npy", "order.npy", "starts.npy", "words.bin"])
@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_damaged_store_is_made_anew(tmp_path, name, damage):
    path = write(tmp_path / "a.vec", LINES)
    finish(WordVectors.convert(VecFile(path), tmp_path / "store"))
    (tmp_path / "store" / name).unlink()
    if damage == "empty":
        (tmp_path / "store" / name).touch()
    finish(WordVectors.convert(VecFile(path), tmp_path / "store"))
    assert WordVectors(tmp_path / "store").find(["kite"]).tolist() == [1]


def test_two_processes_that_convert_at_once_make_one_store(tmp_path):
    key = "ab" * 32
    path = write_vectors(tmp_path / "a.vec", [f"word{i}" for i in range(5000)])
    code = """
import json, sys
from pathlib import Path
from core.corpus import vec_file, vectors
vec_file._BLOCK = 20_000
stages = [step.stage for step in vectors.WordVectors.convert(vec_file.VecFile(Path(sys.argv[1])), Path(sys.argv[2]))]
print(json.dumps([len(vectors.WordVectors(Path(sys.argv[2]))), len(stages)]))
"""
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "cache" / "vectors" / key)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [size for size, _ in results] == [5000, 5000]
    assert [entry.key for entry in Cache(tmp_path / "cache").entries()] == [key]


def test_one_waits_while_another_converts_and_then_uses_its_store(tmp_path, monkeypatch):
    monkeypatch.setattr(vec_file_module, "_BLOCK", 1000)
    path = write_vectors(tmp_path / "a.vec", [f"word{i}" for i in range(100)])
    first, second = (WordVectors.convert(VecFile(path), tmp_path / "store") for _ in range(2))
    next(first)
    assert "waiting" in next(second).stage
    finish(first)
    assert list(second) == []


# What is no vector file.


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("<!DOCTYPE html>\n<html></html>\n", "HTML or XML page"),
        ("<html>", "HTML or XML page"),
        ('{"annotations": []}', "JSON or a binary file"),
        ("[\n1, 2]", "JSON or a binary file"),
        (pickle.dumps({"enc_lstm.weight_ih_l0": 1}), "binary file"),
        ("", "is empty"),
        ("\n\n", "not a word and numbers"),
        ("A kite over the dunes.\nA boat.\n", "not a word and numbers"),
        ("kite\n", "not a word and numbers"),
        ("0 300\n", "no line of it"),
        ("5 0\nkite\n", "not a word and numbers"),
        ("2 3\nkite 1\nboat 2\n", "no line of it"),
        ("2 3\nkite 1 2\nboat 2 3\n", "announces 3 numbers a word, its lines have 2"),
        (bytes(range(256)) * 10, "not a word and numbers"),
    ],
)
@pytest.mark.parametrize("ending", [".vec", ".vec.gz"])
def test_a_file_of_another_kind_is_named(tmp_path, ending, data, found):
    fails(write(tmp_path / f"a{ending}", data), found)


@pytest.mark.parametrize("ending", [".vec.gz", ".zip"])
def test_an_archive_that_is_cut_off_is_named(tmp_path, ending):
    rng = np.random.default_rng(0)
    text = "".join(f"word{i} {rng.normal():.5f} {rng.normal():.5f}\n" for i in range(2000))
    path = write(tmp_path / f"a{ending}", text)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    fails(path, "damaged or cut-off archive")


@pytest.mark.parametrize("ending", [".vec.gz", ".zip"])
def test_a_web_page_saved_as_an_archive_is_named(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("<!DOCTYPE html>")
    fails(path, "HTML or XML page")


def test_an_archive_whose_content_is_damaged_is_named(tmp_path):
    path = write(tmp_path / "a.zip", "".join(f"word{i} {i} {i * i % 97}\n" for i in range(5000)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    path.write_bytes(data)
    fails(path, "damaged or cut-off archive")


def test_an_archive_that_wants_a_later_program_is_named(tmp_path):
    path = write(tmp_path / "a.zip", LINES)
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 6] = 248
    path.write_bytes(data)
    with pytest.raises(AssetError, match=r"damaged or cut-off archive \(zip file version 24.8"):
        VecFile.choose(path, lambda: 3)


def test_a_line_without_end_is_refused_before_it_is_read_whole(tmp_path):
    path = tmp_path / "a.vec"
    path.touch()
    os.truncate(path, 1 << 40)  # takes no space on the disk
    fails(path, "a line of it is longer than 16 MB")


@pytest.mark.parametrize("ending", [".gz", ".zip"])
def test_an_archive_that_unpacks_a_thousandfold_is_refused(tmp_path, monkeypatch, ending):
    monkeypatch.setattr("core.corpus.text_files._SMALL", 1 << 20)
    monkeypatch.setattr("core.corpus.vec_file._BLOCK", 1 << 20)
    fails(write(tmp_path / f"a{ending}", f"word{' 0.5' * 3000}\n" * 300), "made to exhaust the memory")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_cannot_be_unpacked_in_parts_is_refused_before_it_is(tmp_path, packing):
    for name, ending in (("a.zip", ".vec"), ("b.zip", ".txt")):
        with zipfile.ZipFile(tmp_path / name, "w", packing) as archive:
            for number in range(2):
                archive.writestr(f"{number}{ending}", bytes(16 << 20))
    tracemalloc.start()
    try:
        fails(tmp_path / "a.zip", f"0.vec in the archive is packed with {'bzip2' if packing == 12 else 'LZMA'}")
        with pytest.raises(AssetError, match="unpack it first"):
            VecFile.choose(tmp_path / "b.zip", lambda: 3)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_is_opened_once_whatever_it_holds(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(100):
            archive.writestr(f"{number}.txt", LINES if number == 7 else "About these vectors.\n")
    opened = []
    read = zipfile.ZipFile._RealGetContents
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", lambda archive: opened.append(1) or read(archive))
    assert VecFile.choose(tmp_path / "a.zip", lambda: 3).member == "7.txt"
    assert len(opened) == 1
    with pytest.raises(AssetError, match=r"holds 7[.]txt"):
        VecFile.choose(tmp_path / "a.zip", lambda: 300)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("100.txt", LINES)
    with pytest.raises(AssetError, match="holds 101 texts") as caught:
        VecFile.choose(tmp_path / "a.zip", lambda: 3)
    assert "unzip a.zip MEMBER" in caught.value.advice


@pytest.mark.parametrize("lines", ["hello\nworld\n", "", "\n"])
def test_a_header_that_announces_vast_vectors_is_refused(tmp_path, lines):
    fails(write(tmp_path / "a.vec", f"5 99999999999\n{lines}"), "99,999,999,999 numbers a word")


def test_a_word_with_a_million_numbers_is_refused(tmp_path):
    fails(write(tmp_path / "a.vec", f"word{' 1' * 200_000}\n"), "200,000 numbers a word")


def test_a_number_of_a_million_digits_is_a_broken_line(tmp_path):
    path = write(tmp_path / "a.vec", f"{LINES}dog 1e999999 1 2\ncat {'9' * 1_000_000} 1 2\n")
    assert list(contents(converted(path))) == ["the", "kite", "</p>"]


def test_an_archive_with_a_password_is_an_error(tmp_path):
    path = write(tmp_path / "a.zip", LINES)
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 1)
    path.write_bytes(data)
    fails(path, "password|encrypted")


def test_what_a_mac_adds_to_an_archive_is_not_taken_for_the_vectors(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._a.vec", b"\x00\x05\x16\x07")
        archive.writestr("a.VEC", LINES)
    assert len(converted(path)) == 3


def test_an_archive_without_vectors_is_named(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pkl", b"x")
    fails(path, r"no \.vec or \.txt file")


@pytest.mark.parametrize("ending", [".vec", ".vec.gz", ".zip"])
def test_a_missing_file_and_a_folder_are_errors(tmp_path, ending):
    fails(tmp_path / f"a{ending}", "no such file")
    (tmp_path / f"b{ending}").mkdir()
    fails(tmp_path / f"b{ending}", "is a folder")


def test_a_store_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    path = write(tmp_path / "a.vec", LINES)
    with pytest.raises(AssetError, match="--cache-dir"):
        finish(WordVectors.convert(VecFile(path), tmp_path / "file" / "store"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.text(" \t\r\n0123456789.e-+naif<_", max_size=60).map(str.encode)))
def test_whatever_a_file_holds_it_becomes_a_store_or_an_asset_error(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("any") / "a.vec", data)
    try:
        store = converted(path)
    except AssetError:
        return
    assert np.isfinite(store.rows).all()
    assert len(store.rows) == len(store) > 0
