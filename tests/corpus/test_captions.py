"""The corpus: every file format, and a named error for everything that is none."""

import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import needs_real_captions, real_captions, write_coco
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.assets import AssetError
from core.corpus.captions import Captions
from core.corpus.table import ReadOptions
from core.corpus.text_files import read_lines

TEXTS = ["A red kite over the dunes.", "two boats, one of them blue", 'a sign that says "stop"', "ein Hund läuft 🐕"]
ENDINGS = [".txt", ".json", ".csv", ".tsv", ".jsonl", ".parquet"]


def write(path: Path, data: str | bytes) -> Path:
    """Write a file, packed when its name ends in `.gz`."""
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table(path: Path, frame: pd.DataFrame) -> Path:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    file = io.BytesIO()
    if suffix == ".parquet":
        frame.to_parquet(file, index=False)
    elif suffix == ".jsonl":
        file.write(frame.to_json(orient="records", lines=True).encode())
    elif suffix == ".tsv":
        lines = ["\t".join(map(str, row)) for row in [frame.columns, *frame.itertuples(index=False)]]
        file.write("\n".join(lines).encode())
    else:
        frame.to_csv(file, index=False)
    return write(path, file.getvalue())


def coco(path: Path, annotations: object, **more: object) -> Path:
    return write(path, json.dumps({"annotations": annotations, **more}))


def fails(path: Path, match: str | None = None, *, options: ReadOptions | None = None) -> AssetError:
    """The error that reading the file gives; it names the file and says what to do."""
    with pytest.raises(AssetError, match=match) as caught:
        Captions.read(path, options=options or ReadOptions())
    assert caught.value.path == str(path)
    assert caught.value.advice
    return caught.value


# What is read.


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_plain_and_packed_gives_the_same_texts(tmp_path, ending, packed):
    path = tmp_path / f"mine{ending}{packed}"
    if ending == ".txt":
        write(path, "\n".join(TEXTS) + "\n")
    elif ending == ".json":
        write(path, write_coco(tmp_path / "plain.json", TEXTS).read_bytes())
    else:
        table(path, pd.DataFrame({"image_id": [7, 7, 8, 8], "id": [1, 2, 3, 4], "caption": TEXTS}))
    captions = Captions.read(path)
    assert list(captions.texts) == TEXTS
    assert len(captions) == 4
    assert captions.name == "mine"
    assert captions.empty == 0


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_keeps_ids_and_groups(tmp_path, ending):
    frame = pd.DataFrame({"image_id": [7, 7, 8, 8], "id": ["a1", "a2", "b1", "b2"], "caption": TEXTS})
    captions = Captions.read(table(tmp_path / f"mine{ending}", frame))
    assert captions.ids.tolist() == ["a1", "a2", "b1", "b2"]
    assert captions.groups.tolist() == [7, 7, 8, 8]
    assert captions.groups.dtype == np.int64
    assert captions.group(3) == 8


def test_coco_keeps_ids_image_ids_file_names_and_addresses(tmp_path):
    captions = Captions.read(write_coco(tmp_path / "captions.json", TEXTS, per_image=2))
    assert captions.ids.tolist() == [1000, 1001, 1002, 1003]
    assert captions.groups.tolist() == [100, 100, 101, 101]
    assert captions.file_names == {100: "image_0.jpg", 101: "image_1.jpg"}
    assert captions.urls[captions.group(2)] == "http://example.org/1.jpg"
    assert type(captions.group(0)) is int


def test_coco_without_coco_addresses_takes_flickrs(tmp_path):
    images = [{"id": 5, "flickr_url": "http://example.org/f"}]
    captions = Captions.read(coco(tmp_path / "a.json", [{"image_id": 5, "caption": "a kite"}], images=images))
    assert captions.urls == {5: "http://example.org/f"}
    assert captions.file_names == {}


def test_coco_image_ids_may_be_texts(tmp_path):
    annotations = [{"image_id": "0012", "id": "x", "caption": "a kite"}]
    path = coco(tmp_path / "a.json", annotations, images=[{"id": "0012", "file_name": "0012.jpg"}])
    captions = Captions.read(path)
    assert captions.group(0) == "0012"
    assert captions.file_names[captions.group(0)] == "0012.jpg"


def test_coco_without_image_ids_has_no_groups(tmp_path):
    captions = Captions.read(coco(tmp_path / "a.json", [{"caption": "a kite"}, {"caption": "a boat"}]))
    assert captions.groups is None
    assert captions.group(0) is None
    assert captions.ids.tolist() == [1, 2]


@pytest.mark.parametrize("images", [None, 5, {}, ["x"], [{"id": [1]}, {"file_name": "a"}, {"id": None}]])
def test_coco_images_of_no_use_are_left_out(tmp_path, images):
    captions = Captions.read(coco(tmp_path / "a.json", [{"image_id": 1, "caption": "a kite"}], images=images))
    assert captions.file_names == {}


def test_a_text_file_numbers_its_lines(tmp_path):
    captions = Captions.read(write(tmp_path / "a.txt", "a kite\na boat"))
    assert captions.ids.tolist() == [1, 2]
    assert captions.groups is None
    assert captions.group(0) is None


def test_standard_input_is_read_line_by_line(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("a kite\n\nün chien\n".encode())))
    captions = Captions.read(Path("-"))
    assert list(captions.texts) == ["a kite", "", "ün chien"]
    assert captions.name == "stdin"


def test_the_name_is_the_files_without_its_endings(tmp_path):
    assert Captions.read(write(tmp_path / "captions_val2014.txt.gz", "a kite")).name == "captions_val2014"


def test_endings_may_be_in_capitals(tmp_path):
    assert list(Captions.read(write(tmp_path / "A.TXT", "a kite")).texts) == ["a kite"]


@needs_real_captions
def test_real_captions_are_read_whole():
    captions = Captions.read(real_captions)
    assert len(captions) == 69_009
    assert captions.empty == 0
    assert not any("\n" in text or text != text.strip() for text in captions.texts)
    assert len(set(captions.groups.tolist())) == 13_799
    assert captions.file_names[captions.group(0)].endswith(".jpg")


# Texts.


@pytest.mark.parametrize("ending", [".json", ".csv", ".jsonl", ".parquet"])
def test_texts_are_stripped_and_their_inner_newlines_become_blanks(tmp_path, ending):
    texts = ["  a kite\n", "a kite\nover a beach", "one\r\ntwo\u2028three"]
    path = tmp_path / f"a{ending}"
    if ending == ".json":
        write_coco(path, texts)
    else:
        table(path, pd.DataFrame({"caption": texts}))
    assert list(Captions.read(path).texts) == ["a kite", "a kite over a beach", "one two three"]


def test_half_characters_are_damaged_ones_and_are_counted(tmp_path):
    path = write(tmp_path / "a.json", r'["a lone \ud800 dog?", "a \ud83d\udc15", "\udc15\ud83d", "a\u2028 cat\u0085"]')
    captions = Captions.read(path)
    assert captions.texts == ["a lone \ufffd dog?", "a \U0001f415", "\ufffd\ufffd", "a  cat"]
    assert captions.not_understood() == ["2 captions with a damaged character (U+FFFD)"]


def test_blank_lines_keep_their_place_and_are_counted(tmp_path):
    captions = Captions.read(write(tmp_path / "a.txt", "\na kite\n  \n\na boat\n\n"))
    assert list(captions.texts) == ["", "a kite", "", "", "a boat", ""]
    assert captions.empty == 4


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_of_every_system_are_read(tmp_path, end, last):
    path = write(tmp_path / "a.txt", "a kite" + end + "a boat" + (end if last else ""))
    assert read_lines(path) == ["a kite", "a boat"]


@pytest.mark.parametrize("ending", [".txt", ".json", ".csv", ".tsv", ".jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    data = {
        ".txt": "a kite\n",
        ".json": json.dumps({"annotations": [{"caption": "a kite"}]}),
        ".csv": "caption,id\na kite,1\n",
        ".tsv": "caption\tid\na kite\t1\n",
        ".jsonl": '{"caption": "a kite"}\n',
    }[ending]
    assert list(Captions.read(write(path, "\ufeff" + data)).texts) == ["a kite"]


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_half_characters_do_not_stop_a_corpus_from_being_printed(tmp_path, ending):
    line = '{"caption": "a kite \\ud83d"}'
    path = write(tmp_path / f"a{ending}", line if ending == ".jsonl" else f'{{"annotations": [{line}]}}')
    assert Captions.read(path).texts[0].encode("utf-8").startswith(b"a kite")


def test_control_characters_and_markup_are_data(tmp_path):
    text = "a \x1b[31mred\x1b[0m [bold]kite[/] \u202bكلب\u202c"
    assert list(Captions.read(write(tmp_path / "a.txt", text + "\n")).texts) == [text]


lines = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r"), max_size=20), max_size=8
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines)
def test_a_file_read_as_lines_has_one_caption_a_line_whatever_the_lines_hold(tmp_path, texts):
    path = write(tmp_path / "a.txt", "".join(text + "\n" for text in ["first", *texts]))
    captions = Captions.read(path, options=ReadOptions(layout="lines"))
    assert list(captions.texts) == ["first", *(" ".join(text.strip().splitlines()) for text in texts)]
    assert captions.empty == sum(not text.strip() for text in texts)


# Tables.


@pytest.mark.parametrize("name", ["caption", "Caption", "TEXT", "sentence"])
def test_a_usual_name_of_the_text_column_is_guessed(tmp_path, name):
    frame = pd.DataFrame({"who": ["ann", "bob", "cem", "dan"], name: TEXTS})
    assert list(Captions.read(table(tmp_path / "a.parquet", frame)).texts) == TEXTS


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_the_only_column_of_texts_is_guessed(tmp_path, ending):
    frame = pd.DataFrame({"number": [1, 2, 3, 4], "what it shows": TEXTS})
    assert list(Captions.read(table(tmp_path / f"a{ending}", frame)).texts) == TEXTS


def test_columns_named_come_before_columns_guessed(tmp_path):
    frame = pd.DataFrame(
        {"caption": ["x"] * 4, "alt": TEXTS, "id": [1, 2, 3, 4], "n": [9, 8, 7, 6], "album": list("aabb")}
    )
    path = table(tmp_path / "a.csv", frame)
    captions = Captions.read(path, options=ReadOptions(text_columns=("alt",), id_column="n", group_column="album"))
    assert list(captions.texts) == TEXTS
    assert captions.ids.tolist() == [9, 8, 7, 6]
    assert [captions.group(row) for row in range(4)] == list("aabb")


def test_two_columns_of_texts_ask_for_a_name(tmp_path):
    path = write(tmp_path / "a.csv", "left,right\na kite,a boat\n")
    error = fails(path, "2 columns may hold the captions")
    assert "--text-column" in error.advice
    assert "left (a kite), right (a boat)" in str(error)
    assert list(Captions.read(path, options=ReadOptions(text_columns=("right",))).texts) == ["a boat"]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("text", ReadOptions(text_columns=("caption", "nothing"))),
        ("id", ReadOptions(id_column="nothing")),
        ("group", ReadOptions(group_column="nothing")),
    ],
)
def test_a_wrong_column_name_lists_the_right_ones(tmp_path, ending, option, named):
    path = table(tmp_path / f"a{ending}", pd.DataFrame({"caption": TEXTS, "id": [1, 2, 3, 4]}))
    error = fails(path, "has no column 'nothing'", options=named)
    assert "caption, id" in error.expected
    assert f"--{option}-column" in error.advice


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_csv_file_tells_its_separator_by_its_header(tmp_path, separator):
    path = write(tmp_path / "a.csv", f"id{separator}caption\n1{separator}a kite\n2{separator}a boat\n")
    captions = Captions.read(path)
    assert list(captions.texts) == ["a kite", "a boat"]
    assert captions.ids.tolist() == [1, 2]


def test_a_csv_file_of_one_column_is_unquoted(tmp_path):
    path = write(tmp_path / "a.csv", 'caption\n"a kite, red"\n"a ""good"" boat"\nplain; text\n')
    assert list(Captions.read(path).texts) == ["a kite, red", 'a "good" boat', "plain; text"]


def test_an_unquoted_tsv_file_may_hold_stray_quotes(tmp_path):
    path = write(tmp_path / "a.tsv", 'id\tcaption\n1\t"a kite\n2\ta 5" boat\n3\ta dog, wet\n')
    assert list(Captions.read(path).texts) == ['"a kite', 'a 5" boat', "a dog, wet"]


def test_texts_that_read_like_missing_values_are_texts(tmp_path):
    path = write(tmp_path / "a.csv", "id,caption\n1,NA\n2,null\n3,None\n4,\n")
    captions = Captions.read(path)
    assert list(captions.texts) == ["NA", "null", "None", ""]
    assert captions.empty == 1


def test_a_row_without_its_last_fields_is_read_and_one_without_its_text_is_broken(tmp_path):
    rows = "".join(f"{n},a kite,sky\n" for n in range(20))
    captions = Captions.read(write(tmp_path / "a.csv", f"id,caption,place\n{rows}20,a boat\n21\n"))
    assert captions.texts[-1] == "a boat"
    assert len(captions) == 21
    assert list(captions.broken) == [23]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_missing_texts_are_blank_and_keep_their_place(tmp_path, ending):
    path = table(tmp_path / f"a{ending}", pd.DataFrame({"caption": [None, "a kite", None]}))
    captions = Captions.read(path)
    assert list(captions.texts) == ["", "a kite", ""]
    assert captions.empty == 2


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_column_whose_first_text_is_missing_is_guessed_all_the_same(tmp_path, ending):
    path = table(tmp_path / f"a{ending}", pd.DataFrame({"n": [1, 2], "words": [None, "a kite"]}))
    assert list(Captions.read(path).texts) == ["", "a kite"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_whole_numbers_stay_whole_where_some_are_missing(tmp_path, ending):
    frame = pd.DataFrame({"image_id": pd.array([12, None, 7], "Int64"), "caption": ["a", "b", "c"]})
    captions = Captions.read(table(tmp_path / f"a{ending}", frame))
    assert captions.groups.tolist() == ["12", "", "7"]
    assert [captions.group(row) for row in range(3)] == ["12", None, "7"]


def test_ids_too_large_for_64_bits_become_texts(tmp_path):
    path = table(tmp_path / "a.parquet", pd.DataFrame({"id": np.array([2**64 - 1], np.uint64), "caption": ["a kite"]}))
    assert Captions.read(path).ids.tolist() == [str(2**64 - 1)]


def test_a_parquet_file_indexed_by_image_keeps_the_images(tmp_path):
    frame = pd.DataFrame({"image_id": [7, 8], "caption": ["a kite", "a boat"]}).set_index("image_id")
    frame.to_parquet(tmp_path / "a.parquet")
    assert Captions.read(tmp_path / "a.parquet").groups.tolist() == [7, 8]


# What is no corpus.


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ([], "holds no captions"),
        ([1, 2], "entry 1 is no JSON object"),
        ({"annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1]}]}, "COCO .instances."),
        ({"annotations": [{"image_id": 1, "segmentation": []}]}, "COCO .instances."),
        ({"annotations": [{"image_id": 1, "keypoints": []}]}, "COCO .keypoints."),
        ({"annotations": [{"image_id": 1, "question": "?"}]}, 'no "caption"'),
        ({"annotations": []}, 'no list of objects under "annotations"'),
        ({"annotations": {"1": "a kite"}}, 'no list of objects under "annotations"'),
        ({"annotations": ["a kite"]}, 'no list of objects under "annotations"'),
        ({"annotations": [{"caption": "a kite"}, 5]}, 'no list of objects under "annotations"'),
        ({"images": []}, "holds no captions"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}]}, "no column holds sentences"),
        ({"train": [{"caption": "a kite"}], "val": [{"caption": "a boat"}]}, "several lists: train, val"),
        ({"version": 1, "about": None}, "no layout with captions"),
        ({}, "holds no list or object of captions"),
        ("a kite", "holds no list or object of captions"),
        (None, "holds no list or object of captions"),
        ({"annotations": [{"caption": " "}, {"caption": None}, {"caption": False}]}, "no column|holds no captions"),
        ({"annotations": [{"image_id": 1, "caption": "a"}, {"caption": "b"}]}, '1 of 2 annotations have no "image_id"'),
    ],
)
def test_json_of_another_layout_is_named(tmp_path, document, found):
    fails(write(tmp_path / "a.json", json.dumps(document)), found)


@pytest.mark.parametrize("ending", [*ENDINGS, ".txt"])
@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>", "\n <?xml version='1.0'?><Error>", "<html>"])
def test_a_web_page_in_place_of_captions_is_named(tmp_path, ending, page):
    fails(write(tmp_path / f"a{ending}", page), "HTML or XML page")


def test_json_that_is_cut_off_is_named(tmp_path):
    whole = write_coco(tmp_path / "a.json", TEXTS).read_bytes()
    fails(write(tmp_path / "b.json", whole[: len(whole) // 2]), "not valid JSON, or cut off")


def test_json_nested_without_end_is_an_error(tmp_path):
    fails(write(tmp_path / "a.json", "[" * 100_000), "not valid JSON")


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_a_caption_nested_in_hundreds_of_lists_is_an_error(tmp_path, ending):
    nested = "[" * 600 + '"a kite"' + "]" * 600
    fails(write(tmp_path / f"a{ending}", f'{{"image": "7.jpg", "caption": {nested}}}\n' * 2), "nested too deeply|JSON")


def test_a_number_of_thousands_of_digits_is_an_error(tmp_path):
    captions = '[{"image_id": %s, "caption": "A dog."}]' % ("9" * 5000)
    error = fails(write(tmp_path / "a.json", captions), "a number in it has thousands of digits")
    assert "set_int_max_str_digits" not in str(error)


@pytest.mark.parametrize("name", ["1e999999", "-1e999999", "1" * 4000], ids=["great", "negative", "digits"])
def test_a_number_beyond_all_bounds_is_an_id_like_any_other(tmp_path, name):
    captions = f'[{{"id": {name}, "caption": "A dog runs."}}, {{"id": 2, "caption": "A wet cat."}}]'
    assert Captions.read(write(tmp_path / "a.json", captions)).texts == ["A dog runs.", "A wet cat."]


@pytest.mark.parametrize(
    "cell",
    ["[{[]: 1}]", f"[0x{'f' * 5000}, ]", "[" * 5000 + "]" * 5000, f"[{'9' * 5000}]"],
    ids=["list as a key", "huge number", "nested", "digits"],
)
def test_a_cell_that_no_list_can_be_read_from_is_broken(tmp_path, cell):
    rows = "".join(f"{n}.jpg\t['A dog runs.', 'A wet dog.']\n" for n in range(20))
    captions = Captions.read(write(tmp_path / "a.tsv", f"image\tcaptions\n{rows}20.jpg\t{cell}\n"))
    assert captions.texts == ["A dog runs.", "A wet dog."] * 20
    assert list(captions.broken) == [22]


def test_an_image_named_by_a_list_has_no_file_name(tmp_path):
    images = [{"cocoid": [n], "filename": f"{n}.jpg", "sentences": [{"raw": "A dog runs."}]} for n in range(3)]
    captions = Captions.read(write(tmp_path / "a.json", json.dumps({"images": images})))
    assert captions.texts == ["A dog runs."] * 3
    assert captions.file_names == {}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_file_is_an_error(tmp_path, ending, packed):
    fails(write(tmp_path / f"a{ending}{packed}", b""))


@pytest.mark.parametrize("ending", [".txt", ".json"])
def test_an_empty_file_is_said_to_be_empty(tmp_path, ending):
    fails(write(tmp_path / f"a{ending}", b"\xef\xbb\xbf"), "is empty")
    fails(write(tmp_path / f"a{ending}", b""), "is empty")


@pytest.mark.parametrize("text", ["\n", "\n \n\t\n"])
def test_a_file_of_blank_lines_holds_no_captions(tmp_path, text):
    fails(write(tmp_path / "a.txt", text), "holds no captions")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_table_without_rows_is_an_error(tmp_path, ending):
    fails(table(tmp_path / f"a{ending}", pd.DataFrame({"caption": [], "id": []})), "holds no rows")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_packed_file_that_is_cut_off_is_named(tmp_path, ending):
    if ending == ".json":
        data = write_coco(tmp_path / "plain.json", [f"a kite number {i}" for i in range(500)]).read_bytes()
    else:
        frame = pd.DataFrame({"caption": [f"a kite number {i * i}" for i in range(500)]})
        data = gzip.decompress(table(tmp_path / f"b{ending}.gz", frame).read_bytes())
    packed = gzip.compress(data)
    path = tmp_path / f"a{ending}.gz"
    path.write_bytes(packed[: len(packed) // 2])
    fails(path, "cut-off gzip")


def test_a_packed_file_that_unpacks_a_thousandfold_is_refused(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a kite\n" * 2_500_000))
    error = fails(path, "made to exhaust the memory")
    assert "unpack it first" in error.advice


def test_a_small_file_may_unpack_a_thousandfold(tmp_path):
    path = write(tmp_path / "a.txt.gz", b"a kite\n" * 30_000)
    assert path.stat().st_size * 500 < 210_000
    assert len(Captions.read(path)) == 30_000


@pytest.mark.parametrize("nested", [False, True])
def test_a_parquet_file_that_repeats_one_vast_text_is_refused(tmp_path, nested):
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), ["a kite " * 15_000])
    column = pa.ListArray.from_arrays(pa.array(range(3001), pa.int32()), column) if nested else column
    pq.write_table(pa.table({"caption": column}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1e6
    fails(tmp_path / "a.parquet", "made to exhaust the memory")


def test_a_parquet_file_that_unpacks_a_thousandfold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("core.corpus.text_files._SMALL", 1 << 20)
    column = pa.array(["a kite " * 15_000] * 50)
    pq.write_table(pa.table({"caption": column}), tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    fails(tmp_path / "a.parquet", "made to exhaust the memory")


def test_a_parquet_file_of_one_vast_list_is_refused_by_what_it_claims_before_it_is_read(tmp_path):
    column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), 5_000_000), ["a kite"])
    lists = pa.ListArray.from_arrays(pa.array([0, 5_000_000], pa.int32()), column)
    pq.write_table(pa.table({"caption": lists}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1000
    fails(tmp_path / "a.parquet", "more than 320 MB: made to exhaust the memory")  # read, it has 350


def test_a_parquet_file_whose_texts_are_not_utf_8_is_named(tmp_path):
    path = table(tmp_path / "a.parquet", pd.DataFrame({"caption": TEXTS}))
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xff\xff"))
    fails(path, "cannot be read as parquet")


def test_a_field_of_megabytes_is_a_caption_like_any_other(tmp_path):
    vast = "a kite " * 200_000
    rows = f'image,caption\n1.jpg,"{vast}"\n2.jpg,"A dog, wet."\n'
    assert Captions.read(write(tmp_path / "a.csv", rows)).texts == [vast.strip(), "A dog, wet."]


def test_a_file_is_unpacked_by_its_content_and_not_by_its_name(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(b"a kite\n")
    (tmp_path / "b.txt").write_bytes(gzip.compress(b"a kite\n"))
    for name in ("a.txt.gz", "b.txt"):
        assert list(Captions.read(tmp_path / name).texts) == ["a kite"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_file_is_an_error(tmp_path, ending):
    fails(tmp_path / f"a{ending}", "no such file")


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.csv.gz", "a", "a.images"])
def test_a_folder_is_an_error(tmp_path, name):
    (tmp_path / name).mkdir()
    fails(tmp_path / name, "is a folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_may_not_be_read_is_an_error(tmp_path, ending):
    path = write(tmp_path / f"a{ending}", "a kite\n")
    path.chmod(0)
    fails(path, "permission denied")


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_table_that_is_cut_off_is_an_error(tmp_path, ending):
    whole = table(tmp_path / f"a{ending}", pd.DataFrame({"caption": TEXTS})).read_bytes()
    fails(
        write(tmp_path / f"b{ending}", whole[: len(whole) - 9]),
        "cannot be read as parquet|1 of 4 are broken or cut off; the first is line 4",
    )


def test_a_parquet_file_damaged_inside_is_an_error(tmp_path):
    data = bytearray(table(tmp_path / "a.parquet", pd.DataFrame({"caption": TEXTS * 50})).read_bytes())
    data[4:200] = bytes(196)
    fails(write(tmp_path / "b.parquet", bytes(data)))


@pytest.mark.parametrize("line", ['"a kite"', "5", "null", '["a kite", 1]', "a kite", '{"caption": "a', "[" * 100_000])
def test_a_line_of_json_that_is_no_object_is_named(tmp_path, line):
    fails(write(tmp_path / "a.jsonl", f'{{"caption": "a kite"}}\n\n{line}\n'), "the first is line 3")


def test_objects_without_anything_in_them_hold_no_rows(tmp_path):
    fails(write(tmp_path / "a.jsonl", "{}\n{}\n"), "holds no rows")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(ENDINGS),
    st.one_of(
        st.binary(max_size=60),
        st.text('{}[]":,;\t\n caption01\\\ufeff', max_size=60).map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["annotations", "caption", "id", "image_id", "images"]), inner, max_size=4
                )
            ),
            max_leaves=12,
        ).map(lambda document: json.dumps(document).encode()),
    ),
)
@example(".json", b'{"annotations": [{"caption": "a", "image_id": [1]}, {"caption": "a", "image_id": {}}]}')
@example(".json", b'{"annotations": [{"caption": "a", "id": true}], "images": [{"id": 1, "coco_url": {}}]}')
def test_whatever_a_file_holds_it_is_read_or_an_asset_error(tmp_path, ending, data):
    path = write(tmp_path / f"a{ending}", data)
    try:
        captions = Captions.read(path)
    except AssetError:
        return
    assert len(captions) == len(captions.ids) > captions.empty
    assert all(isinstance(captions.group(row), int | str | None) for row in range(len(captions)))


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        (".json", json.dumps({" ": [{"caption": TEXTS[0]}, {"caption": TEXTS[1]}]})),
        (".json", json.dumps([{"image_id": "\t", "captions": TEXTS[:2]}])),
        (".csv", "image,caption\n " + ",a dog\n ,a cat on a red rug\n"),
    ],
)
def test_images_without_a_name_are_not_counted_as_none(tmp_path, ending, content):
    captions = Captions.read(write(tmp_path / f"captions{ending}", content))
    assert len(captions) == 2
    assert captions.images in (1, None)
    assert " 0 images" not in captions.understood()


def test_image_facts_that_are_no_text_are_left_out(tmp_path):
    document = {
        "images": [
            {"id": 1, "file_name": 5, "coco_url": None},
            {"id": 2, "file_name": "b.jpg", "coco_url": "http://b"},
        ],
        "annotations": [{"id": 1, "image_id": 1, "caption": "a dog"}],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(document))
    captions = Captions.read(path)
    assert captions.file_names == {2: "b.jpg"}
    assert captions.urls == {2: "http://b"}
