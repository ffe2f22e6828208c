"""Layouts: files as people have them are recognised by their content; nothing is lost or merged silently."""

import csv
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thirty import (
    COCO,
    IMAGES,
    NO_IMAGES,
    ONE_EACH,
    ROWS,
    SEEN_WRONG,
    SIX_IMAGES,
    TEXTS,
    jsonl,
    lines,
    parquet,
    written,
)

from core.assets import AssetError
from core.corpus.captions import Captions
from core.corpus.rows import split_rows
from core.corpus.table import ReadOptions


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(path: Path, data: str | bytes, **options: object) -> Captions:
    return Captions.read(write(path, data), options=ReadOptions(**options))


def refused(path: Path, data: str | bytes, match: str, **options: object) -> AssetError:
    """The error that reading gives; it says what to do."""
    with pytest.raises(AssetError, match=match) as caught:
        read(path, data, **options)
    assert caught.value.advice
    return caught.value


def peak_of_refusal(path: Path, data: str, match: str) -> int:
    """The bytes that refusing a file took beside its text."""
    write(path, data)
    tracemalloc.start()
    try:
        with pytest.raises(AssetError, match=match) as caught:
            Captions.read(path)
        assert caught.value.advice
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# What is recognised.


@pytest.mark.parametrize("name", SIX_IMAGES)
def test_thirty_captions_of_six_images_are_read_from_every_layout(tmp_path, name):
    captions = read(tmp_path / name, SIX_IMAGES[name])
    assert list(captions.texts) == TEXTS
    assert captions.images == 6
    assert [captions.group(row) for row in range(0, 30, 5)] == [captions.group(row + 4) for row in range(0, 30, 5)]
    assert (captions.empty, list(captions.broken)) == (0, [])


@pytest.mark.parametrize("name", NO_IMAGES)
def test_thirty_captions_without_images_are_read_from_every_layout(tmp_path, name):
    captions = read(tmp_path / name, NO_IMAGES[name])
    assert list(captions.texts) == TEXTS
    assert captions.groups is None
    assert (captions.empty, list(captions.broken)) == (0, [])


@pytest.mark.parametrize("name", ONE_EACH)
def test_thirty_captions_of_thirty_images_are_read_from_every_layout(tmp_path, name):
    captions = read(tmp_path / name, ONE_EACH[name])
    assert list(captions.texts) == TEXTS
    assert captions.images == 30


ONLY_BY_NAME = {"strings.jsonl", "quoted_lines.csv", "other_name.csv"}  # else a caption a line


@pytest.mark.parametrize("name", sorted({*SIX_IMAGES, *NO_IMAGES, *ONE_EACH} - ONLY_BY_NAME))
def test_the_name_of_a_file_does_not_decide_its_layout(tmp_path, name):
    data = (SIX_IMAGES | NO_IMAGES | ONE_EACH)[name]
    assert list(read(tmp_path / "captions.dat", data).texts) == TEXTS


@pytest.mark.parametrize("name", SEEN_WRONG)
def test_what_was_once_read_wrongly_is_read_rightly(tmp_path, name):
    data, texts, groups = SEEN_WRONG[name]
    captions = read(tmp_path / name, data)
    assert list(captions.texts) == texts
    assert (None if captions.groups is None else captions.groups.tolist()) == groups
    assert list(captions.broken) == []


MORE = {
    "urls.csv": ("http://a.org/1.jpg,A dog runs.,train\nhttp://a.org/2.jpg,Two cats sleep.,train\n", None),
    "thousands.txt": ("10,000 dogs run\n20,000 cats sleep\n", ["10,000 dogs run", "20,000 cats sleep"]),
    "counts.txt": ("2 dogs run\n3 cats sit\n" * 6, ["2 dogs run", "3 cats sit"] * 6),
    "getty.txt": ("A dog runs | Getty\n" * 6, ["A dog runs | Getty"] * 6),
    "numbered.txt": (
        "2只狗在海滩上奔跑\n3只猫在睡觉\nสุนัขวิ่งบนชายหาด2ตัว\n",
        ["2只狗在海滩上奔跑", "3只猫在睡觉", "สุนัขวิ่งบนชายหาด2ตัว"],
    ),
    "codes.csv": (
        "路径,日期,编号,说明\n" + "数据集/训练/图像0001,2024年10月12日星期六,商品编号A1234,一只狗在海滩上奔跑\n" * 6,
        ["一只狗在海滩上奔跑"] * 6,
    ),
    "chinese.csv": ("一只狗在海滩上奔跑\n一只猫在睡觉\n", ["一只狗在海滩上奔跑", "一只猫在睡觉"]),
    "quoted.tsv": ('image\tcaption\n"1.jpg"\t"A dog, wet"\n"2.jpg"\t"A cat"\n', ["A dog, wet", "A cat"]),
    "equal.csv": ("image,caption_0,caption_1\n1.jpg,A dog runs,A dog runs\n", ["A dog runs"] * 2),
    "texts.json": ('{"data": ["A dog", "A cat"]}', ["A dog", "A cat"]),
    "lists.json": ('{"data": [["1.jpg", "A dog"], ["2.jpg", "A cat"]]}', ["A dog", "A cat"]),
    "title.csv": ("Export from X,,\nimage,caption,n\n" + "0.jpg,A man sits,0\n" * 20, ["A man sits"] * 20),
    "comment.csv": ("# made by me, 2020\nimage,caption\n" + "0.jpg,A man sits\n" * 20, ["A man sits"] * 20),
}


@pytest.mark.parametrize("name", MORE)
def test_what_deceives_is_read_rightly_or_asked_for(tmp_path, name):
    data, texts = MORE[name]
    if texts is None:
        refused(tmp_path / name, data, "may hold the captions")
    else:
        assert list(read(tmp_path / name, data).texts) == texts


def test_missing_images_are_no_image_and_images_named_inside_are_used(tmp_path):
    objects = [{"image": "1.jpg", "caption": "A dog"}, {"image": None, "caption": "A cat"}]
    captions = read(tmp_path / "a.json", json.dumps(objects))
    assert [captions.group(row) for row in range(2)] == ["1.jpg", None]
    indexed = {str(n): {"image_id": 7, "caption": text} for n, text in enumerate(TEXTS)}
    assert read(tmp_path / "b.json", json.dumps(indexed)).images == 1


REFUSED = {
    "no image names.json": ('{"version":"1.0","a.jpg":["A dog."],"b.jpg":["A cat."]}', "no layout with captions"),
    "uneven.json": (
        '{"image":["a.jpg","b.jpg","c.jpg"],"caption":["A dog runs.","A cat."]}',
        "different lengths: image 3",
    ),
    "notebook.json": ('{"nbformat": 4, "cells": [{"source": ["import this"]}]}', "a Jupyter notebook"),
    "cut off.txt": ('[{"image_id":1,"caption":"A dog runs."},{"image_id":2,"capt', "not valid JSON, or cut off"),
    "python.txt": (
        "{'image_id':1,'caption':'A dog.'}\n{'image_id':2,'caption':'A cat.'}\n",
        "not valid JSON, or cut off",
    ),
    "two texts a tab apart.txt": ("A dog\trunning\nA cat\tsitting\nA red cow\tstanding\n", "2 columns may hold"),
    "subtitles.srt": (
        "1\n00:00:01,000 --> 00:00:02,000\nA dog runs.\n\n2\n00:00:03,000 --> 00:00:04,000\n",
        "its lines are",
    ),
    "several captions a row.csv": (
        "1.jpg,A dog runs.,A wet dog.\n2.jpg,A cat sits.\n3.jpg,A cow.,B cow.,C cow.\n4.jpg,A bird.\n5.jpg,A man.\n",
        "2 of 5 rows have not 2 columns",
    ),
    "half without the last field.csv": ("1.jpg,A dog runs.,train\n2.jpg,A cat sits.\n" * 3, "2 columns may hold"),
    "a label in the first row.csv": ("Sunset,good\nA dog runs,bad\nA cat sits,good\n", "2 columns may hold"),
    "several captions a row.txt": (
        "1.jpg,A dog runs.,A wet dog.\n2.jpg,A cat sits.,A wet cat.\n",
        "2 columns may hold",
    ),
    "a caption more in some rows.txt": (
        "1.jpg,A dog runs.,A wet dog.\n2.jpg,A cat sits.\n3.jpg,A cow.,B cow.\n",
        "1 of 3 rows have not 3 columns",
    ),
    "quote over many lines.csv": (
        'caption\n"Stop sign.\nA cat sits.\nHe said stop"\nA cow.\nA dog.\n',
        "the quote that opens in line 2 closes in line 4",
    ),
    "unreadable lists.csv": (
        written(
            ["image", "captions"], [[f"{n}.jpg", "['A dog.', 'B.']" if n % 2 else "['A.' 'B.']"] for n in range(20)]
        ),
        "10 of 20 rows hold lists that cannot be read",
    ),
    "two images a row.jsonl": (
        '{"image_0":"1.jpg","image_1":"2.jpg","caption_0":"A dog runs.","caption_1":"A cat sits."}\n' * 2,
        "a row names several images: image_0, image_1",
    ),
    "two objects.json": (
        '{"info":{"year":2020},"data":{"images":[{"file":"1.jpg","caption":"A dog."}]}}',
        "no layout with captions",
    ),
    "lists that name their images.json": (
        '{"beach":[{"image":"1.jpg","caption":"A dog."}],"park":[{"image":"2.jpg","caption":"A cat."}]}',
        "holds several lists: beach, park",
    ),
    "two documents without images.json": (
        json.dumps({"annotations": COCO["annotations"]}) * 2,
        "holds 2 JSON documents",
    ),
    "two documents.json": (json.dumps(COCO) + json.dumps(COCO), "holds 2 JSON documents"),
    "sets.json": ('{"train":{"1.jpg":["A dog."]},"val":{"2.jpg":["A cat."]}}', "holds several sets: train, val"),
    "every sixth line.txt": (("A dog runs.\n" * 5 + "images/7.jpg\n") * 400, "partly texts"),
    "subtitles.vtt": ("WEBVTT\n\n00:01.000 --> 00:03.000\nA dog runs.\n", "WebVTT"),
    "columns of nothing.json": ('{"columns":["a"],"data":null}', "no column holds"),
    "ragged rows.json": ('[["a.jpg","A dog",["x"]],["b.jpg","A cat","y"],["c.jpg","A cow",3]]', "may hold|no column"),
    "annotation.xml": ("<annotation><caption>A dog</caption></annotation>\n", "HTML or XML page"),
    "rich.rtf": ("{\\rtf1\\ansi A dog.}", "RTF"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_or_read_is_refused(tmp_path, name):
    data, found = REFUSED[name]
    refused(tmp_path / name, data, found)


@pytest.mark.parametrize(
    ("head", "row", "broken"),
    [
        ("# my captions\nimage,caption\n", "{n}.jpg,A dog runs\n", [1]),
        ("Nom de l'image;Légende\n", "{n}.jpg;Un chien, mouillé\n", []),
        ("imagen,descripción (español)\n", "{n}.jpg,Un perro corre\n", []),
        ("image file,caption of the image in English\n", "{n}.jpg,A dog runs\n", []),
        ("sep=;\nimage;caption\n", "{n}.jpg;A dog, wet\n", []),
        ("image;caption;;;\n", "{n}.jpg;A dog;;;\n", []),
        ("image,caption\na.jpg,A dog\nimage,caption\n", "{n}.jpg,A cat\n", [3]),
        ("image,number,caption\na.jpg,A dog, running\n", "{n}.jpg,0,A cat\n", [2]),
    ],
)
def test_a_header_is_found_and_rows_that_are_none_are_counted(tmp_path, head, row, broken):
    captions = read(tmp_path / "a.csv", head + "".join(row.format(n=n) for n in range(30)))
    assert len(captions) in (30, 31)
    assert captions.images == len(captions)
    assert list(captions.broken) == broken


def test_a_first_row_with_a_long_text_is_no_header(tmp_path):
    first = "A man and his two dogs walk along a wet and sandy beach at dawn"
    captions = read(tmp_path / "a.csv", f"nobody,{first}\n" + lines("{n}.jpg,{stem} here"))
    assert (captions.first, len(captions)) == (first, 31)


def test_comments_above_the_header_of_a_short_table_are_counted(tmp_path):
    head = "# captions v2\n# made by Anna\n"
    captions = read(tmp_path / "a.csv", head + "image,caption\n1.jpg,A dog runs on the beach.\n2.jpg,A cat sits.\n")
    assert list(captions.texts) == ["A dog runs on the beach.", "A cat sits."]
    assert list(captions.broken) == [1, 2]
    captions = read(tmp_path / "b.tsv", "Captions of the study\n1.jpg\tA dog runs.\n2.jpg\tA cat sits.\n")
    assert (list(captions.texts), list(captions.broken)) == (["A dog runs.", "A cat sits."], [1])


def test_a_list_among_texts_and_an_unreadable_list_among_lists_are_told_apart(tmp_path):
    objects = [{"image": "a", "caption": f"a dog {n}"} for n in range(20)] + [
        {"image": "b", "caption": ["a cat", "a cow"]}
    ]
    assert len(read(tmp_path / "a.jsonl", jsonl(objects))) == 22
    rows = [[f"{n}.jpg", "['A dog.', 'A wet dog.']"] for n in range(20)]
    captions = read(tmp_path / "a.csv", written(["image", "captions"], [*rows, ["x.jpg", "['A cat.' 'A cow.']"]]))
    assert len(captions) == 40
    assert list(captions.broken) == [22]


def test_a_picture_in_place_of_an_image_name_is_shortened_to_an_id(tmp_path):
    rows = [[f"data:image/png;base64,{n}{'A' * 100_000}", "a dog"] for n in range(5)]
    captions = read(tmp_path / "a.csv", written(["image", "caption"], rows))
    assert captions.images == 5
    assert captions.groups.itemsize < 2_000


def test_one_very_long_line_is_one_caption(tmp_path):
    assert len(read(tmp_path / "a.txt", "a dog " * 200_000)) == 1


def test_numbers_before_captions_are_ids_in_a_file_of_many_but_not_in_one_of_few(tmp_path):
    assert list(read(tmp_path / "many.txt", lines("{number} {text}")).texts) == TEXTS
    assert list(read(tmp_path / "few.txt", "2 dogs run\n3 cats sit\n").texts) == ["2 dogs run", "3 cats sit"]


@pytest.mark.parametrize(
    "texts", ["A dog, wet\nA cat, dry\n", "A dog: wet\nA cat: dry\n", "A dog; wet\nA cat; dry\n", "[x] a dog\n"]
)
def test_separators_in_every_line_of_text_make_no_table(tmp_path, texts):
    captions = read(tmp_path / "a.txt", texts)
    assert list(captions.texts) == texts.splitlines()
    assert captions.layout == "a caption a line"


def test_ids_stay_as_they_are_written(tmp_path):
    captions = read(tmp_path / "a.csv", "id,image_id,caption\n1e5,000000391895,a dog\n2.50,000000391896,a cat\n")
    assert captions.ids.tolist() == ["1e5", "2.50"]
    assert captions.groups.tolist() == ["000000391895", "000000391896"]
    assert read(tmp_path / "b.csv", "17,A dog runs\n23,A cat sits\n").ids.tolist() == [17, 23]
    rows = [*([n, f"A dog runs {n}"] for n in range(20)), [[20], "A cat"]]
    assert len(read(tmp_path / "c.json", json.dumps(rows))) == 21
    captions = read(tmp_path / "a.jsonl", '{"id": 1e5, "image_id": 2.50, "caption": "a dog"}\n')
    assert (captions.ids.tolist(), captions.groups.tolist()) == (["1e5"], ["2.50"])


def test_a_caption_of_a_part_of_an_image_belongs_to_the_image(tmp_path):
    captions = read(tmp_path / "a.token", "dog.jpg#0\tA dog.\ndog.jpg#1\tA wet dog.\n")
    assert captions.ids.tolist() == ["dog.jpg#0", "dog.jpg#1"]
    assert captions.groups.tolist() == ["dog.jpg", "dog.jpg"]


def test_machine_made_captions_are_labelled(tmp_path):
    captions = read(
        tmp_path / "a.json", json.dumps([{"image_id": 5, "caption": "a dog"}, {"image_id": 6, "caption": "a cat"}])
    )
    assert "machine-made" in captions.layout
    twice = [{"image_id": 5, "caption": "a dog"}, {"image_id": 5, "caption": "a cat"}]
    assert "machine-made" not in read(tmp_path / "b.json", json.dumps(twice)).layout


def test_a_list_in_numpys_notation_is_refused_and_as_json_it_is_read(tmp_path):
    error = refused(tmp_path / "a.csv", "image,captions\na.jpg,\"['A dog.' 'A cat.']\"\n", "no column holds sentences")
    assert '["A dog.", "A cat."]' in error.expected
    data = written(["image", "captions"], [["a.jpg", '["A dog.", "A cat."]']])
    assert list(read(tmp_path / "b.csv", data).texts) == ["A dog.", "A cat."]


def test_a_list_of_tokens_is_no_list_of_captions_unless_the_user_says_so(tmp_path):
    data = jsonl([{"image": "a.jpg", "caption": ["a", "dog", "runs"]}, {"image": "b.jpg", "caption": ["a", "cat"]}])
    refused(tmp_path / "a.jsonl", data, "no column holds sentences")
    assert len(read(tmp_path / "a.jsonl", data, text_columns=("caption",))) == 5


def test_the_index_of_a_parquet_file_may_name_the_images(tmp_path):
    frame = pd.DataFrame({"caption": TEXTS}, index=[f"{n}.jpg" for n in range(30)])
    frame.to_parquet(tmp_path / "a.parquet")
    assert Captions.read(tmp_path / "a.parquet").images == 30
    frame.reset_index(drop=True).iloc[::2].to_parquet(tmp_path / "b.parquet")
    captions = Captions.read(tmp_path / "b.parquet")
    assert (captions.groups, list(captions.texts)) == (None, TEXTS[::2])


def test_a_header_of_any_words_is_believed_when_the_user_says_that_it_is_one(tmp_path):
    data = "mon image,la phrase\nun chien,Un chien court ici.\nun chat,Un chat dort là.\n"
    error = refused(tmp_path / "a.csv", data, "2 columns may hold")
    assert "if the first row names the columns, use --header" in error.advice
    captions = read(tmp_path / "a.csv", data, header=True, text_columns=("la phrase",))
    assert list(captions.texts) == ["Un chien court ici.", "Un chat dort là."]


def test_lines_in_angle_brackets_are_captions_when_the_user_says_so(tmp_path):
    refused(tmp_path / "a.txt", "<dog>\n<cat>\n", "HTML or XML page")
    assert list(read(tmp_path / "a.txt", "<dog>\n<cat>\n", layout="lines").texts) == ["<dog>", "<cat>"]


# What is never taken for a caption.


REFERENCES = {
    "addresses": lines("http://example.org/{n}.jpg"),
    "file names": lines("{image}"),
    "paths": lines("images/val/{n}"),
    "numbers": lines("{n}"),
    "hashes": lines("deadbeef{n:04x}"),
    "dates": lines("2014-01-{n} 10:00:00"),
    "vectors": lines("word 0.1 -0.2 3e-5 {n}"),
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_lines_of_references_are_refused_unless_the_user_says_that_they_are_captions(tmp_path, kind):
    error = refused(tmp_path / "a.txt", REFERENCES[kind], "its lines are")
    assert "--layout lines" in error.advice
    assert len(read(tmp_path / "a.txt", REFERENCES[kind], layout="lines")) == 30


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_column_of_references_is_no_caption_though_its_name_says_so(tmp_path, kind):
    rows = [[n, value] for n, value in enumerate(REFERENCES[kind].splitlines())]
    error = refused(tmp_path / "a.csv", written(["id", "caption"], rows), "no column holds sentences")
    assert "--text-column" in error.advice
    rows = [[*row, text] for row, text in zip(rows, TEXTS, strict=True)]
    assert list(read(tmp_path / "b.csv", written(["id", "caption", "alt"], rows)).texts) == TEXTS


@pytest.mark.parametrize("header", [["sentence1", "sentence2"], ["caption_en", "caption_de"], ["left", "right"], None])
def test_several_columns_of_texts_are_asked_for(tmp_path, header):
    rows = [[text, f"{text} again"] for text in TEXTS]
    data = written(header, rows)
    error = refused(tmp_path / "a.csv", data, "2 columns may hold the captions")
    first, second = header or ["1", "2"]
    assert f"{first} (A brown dog runs along the beach.)" in error.found
    assert list(read(tmp_path / "a.csv", data, text_columns=(first,)).texts) == TEXTS
    both = read(tmp_path / "a.csv", data, text_columns=(first, second))
    assert both.texts[:2] == [TEXTS[0], f"{TEXTS[0]} again"]
    assert both.groups.tolist()[:4] == [1, 1, 2, 2]


def test_a_header_may_be_called_a_row(tmp_path):
    data = "text\tphoto\nA dog runs\tcat\n"
    assert list(read(tmp_path / "a.tsv", data).texts) == ["A dog runs"]
    assert list(read(tmp_path / "a.tsv", data, header=False, text_columns=("1",)).texts) == ["text", "A dog runs"]


def test_a_separator_may_be_named(tmp_path):
    data = "id~caption\n1~A dog runs\n2~A cat, too\n"
    assert list(read(tmp_path / "a.csv", data, separator="~").texts) == ["A dog runs", "A cat, too"]


# Quotes and broken rows.


def test_a_quote_that_closes_in_a_later_row_swallows_no_row(tmp_path):
    captions = read(tmp_path / "a.csv", 'id,caption\n0,A dog.\n1,"Stop sign.\n2,A cat.\n3,He said stop"\n')
    assert list(captions.texts) == ["A dog.", '"Stop sign.', "A cat.", 'He said stop"']
    assert captions.not_understood() == ["1 with an open quote, read line by line (3)"]


def test_a_quote_that_never_closes_swallows_no_row(tmp_path):
    captions = read(tmp_path / "a.csv", 'id,caption\n0,A dog.\n1,"Stop sign.\n2,A cat.\n')
    assert list(captions.texts) == ["A dog.", '"Stop sign.', "A cat."]
    assert captions.not_understood() == ["1 with an open quote, read line by line (3)"]


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        ('id,caption\n0,A dog.\n1,"Stop ""sign.\n2,"A cat.\n', ["2 with an open quote, read line by line (3, 4)"]),
        ('id, caption\n1, "A dog.\n2, A cat.\n', ["1 with an open quote, read line by line (2)"]),
        ('id\tcaption\n1\tA dog.\n2\t"A cat.\n', ["1 with an open quote, read line by line (3)"]),
        ('caption,image\n"A dog.,1.jpg\nA cat.,2.jpg\n', ["1 with an open quote, read line by line (2)"]),
        ('caption\n"A dog.\nA cat.\n', ["1 with an open quote, read line by line (2)"]),
        ('image,"caption\n1.jpg,A dog.\n2.jpg,A cat.\n', ["1 with an open quote, read line by line (1)"]),
        (
            'image,caption\n1.jpg,"A dog, wet.\n2.jpg,A cat.\n',
            ["1 with commas outside quotes (2)", "1 with an open quote, read line by line (2)"],
        ),
        ('image,caption\n1.jpg,"A dog, wet" he said.\n2.jpg,A cat.\n', ["1 with commas outside quotes (2)"]),
        (
            'id,caption\n1,"Stop" sign.\n2,A "good" cat\n3,"""Stop"\n4,a 5" pipe\n5,A 5", 6" cow\n',
            ["1 with commas outside quotes (6)"],
        ),
    ],
    ids=[
        "two",
        "blank before it",
        "tab",
        "first column",
        "one column",
        "header",
        "comma too",
        "closed",
        "no open ones",
    ],
)
def test_an_open_quote_is_said_and_a_quote_that_closes_or_is_text_is_not(tmp_path, data, notes):
    assert read(tmp_path / "a.csv", data).not_understood() == notes


def test_quotes_of_lines_are_text_and_not_said(tmp_path):
    captions = read(tmp_path / "a.txt", '"A dog runs\nA cat sits\n')
    assert (list(captions.texts), captions.not_understood()) == (['"A dog runs', "A cat sits"], [])
    captions = read(tmp_path / "b.txt", '1.jpg : "A dog runs\n2.jpg : A cat sits\n')
    assert (list(captions.texts), captions.not_understood()) == (['"A dog runs', "A cat sits"], [])


def test_a_caption_of_several_lines_in_quotes_is_one_caption_and_said(tmp_path):
    captions = read(tmp_path / "a.csv", 'id,caption\n1,"A dog\n\nruns, fast"\n2,A cow\n')
    assert list(captions.texts) == ["A dog  runs, fast", "A cow"]
    assert captions.not_understood() == ["1 over several lines (2)"]


def test_a_line_break_at_the_end_of_a_quoted_caption_is_not_worth_a_word(tmp_path):
    captions = read(tmp_path / "a.csv", 'id,caption\n1,"A dog\n"\n2,A cow\n')
    assert list(captions.texts) == ["A dog", "A cow"]
    assert captions.not_understood() == []
    captions = read(tmp_path / "b.csv", 'caption,image\n"A dog runs.\n",1.jpg\nA cat.,2.jpg\n')
    assert list(captions.texts) == ["A dog runs.", "A cat."]


def test_quoted_lines_that_may_be_rows_or_one_caption_are_refused_and_the_advice_helps(tmp_path):
    data = 'caption,words\n"A dog, wet\nruns",red dog here\nA cat sits,blue cat there\n'
    error = refused(tmp_path / "a.csv", data, "the quote that opens in line 2 closes in line 3")
    assert "in one line" in error.advice
    assert read(tmp_path / "a.csv", data.replace("wet\n", "wet ")).texts[0] == "A dog, wet runs"


def test_quoted_lines_of_which_some_are_no_rows_are_one_caption(tmp_path):
    data = 'caption,words\n"A dog\nruns, fast\nnow",red dog here\nA cat sits,blue cat there\n'
    captions = read(tmp_path / "a.csv", data, text_columns=("caption",))
    assert list(captions.texts) == ["A dog runs, fast now", "A cat sits"]
    assert captions.not_understood() == ["1 over several lines (2)"]


def test_quotes_that_are_no_marks_of_fields_are_text(tmp_path):
    data = 'id,caption\n1,"Stop" sign, red\n2,A "good" boat\n3,"A ""fine"" boat"\n4,a 5" pipe\n'
    texts = ['"Stop" sign, red', 'A "good" boat', 'A "fine" boat', 'a 5" pipe']
    assert list(read(tmp_path / "a.csv", data).texts) == texts


def test_separators_outside_quotes_stay_in_the_text_and_are_said(tmp_path):
    captions = read(tmp_path / "a.csv", SIX_IMAGES["unquoted.txt"])
    assert list(captions.texts) == TEXTS
    assert captions.not_understood() == ["3 with commas outside quotes (4, 13, 21)"]
    captions = read(
        tmp_path / "b.csv", "image,caption,split\n1.jpg,A dog,val\n2.jpg,A red, wet dog.\n3.jpg,A cat,val\n"
    )
    assert captions.not_understood() == ["1 with commas outside quotes (3)"]


def test_broken_rows_are_counted_with_their_lines(tmp_path):
    row = "dog.jpg| 4   A dog runs .\n"
    captions = read(tmp_path / "a.csv", SIX_IMAGES["results.csv"] + row)
    assert list(captions.texts) == TEXTS
    assert captions.not_understood() == ["1 broken line (32)"]
    objects = [json.dumps({"caption": text}) for text in TEXTS]
    captions = read(tmp_path / "a.jsonl", "\n".join([*objects[:13], '{"caption": "A d', *objects[13:]]))
    assert list(captions.texts) == TEXTS
    assert captions.not_understood() == ["1 broken line (14)"]


def test_a_file_with_more_than_a_tenth_of_its_rows_broken_is_refused(tmp_path):
    refused(tmp_path / "a.csv", SIX_IMAGES["results.csv"] + "nothing\n" * 4, "4 of 34 rows have not 3 columns")
    token = SIX_IMAGES["Flickr8k.token.txt"].replace("dog.jpg#1\t", "dog.jpg#1 ").replace("cat.jpg#3\t", "cat.jpg#3 ")
    captions = read(tmp_path / "a.token", token)
    assert (len(captions), list(captions.broken)) == (28, [2, 19])
    refused(tmp_path / "a.jsonl", SIX_IMAGES["train.json"] + "nothing\n" * 4, "4 of 34 are broken or cut off")


WIDE = {
    "keys.jsonl": "".join(f'{{"{n}.jpg": ["A dog runs."]}}\n' for n in range(4000)),
    "keys of objects.json": json.dumps({f"{n}.jpg": {"caption": "A dog.", f"key {n}": 1} for n in range(4000)}),
    "one long list.json": json.dumps([["A dog runs."] * 4000] + [["A dog runs."]] * 4000),
    "wide.csv": f"caption{',x' * 100}\n" + f"A dog runs.{',x' * 100}\n" * 100 + "A.\n" * 20_000,
}


@pytest.mark.parametrize("name", WIDE)
def test_a_small_file_whose_table_would_be_vast_and_nearly_empty_is_refused(tmp_path, name):
    assert peak_of_refusal(tmp_path / name, WIDE[name], r"rows have \S+ values, in") < 200 * len(WIDE[name])


MANY = {
    "commas.csv": ",".join(["A dog runs."] * 5000) + "\n" + ",".join(["A cat runs."] * 5000) + "\n",
    "lengths.json": json.dumps({"caption": ["A dog."] * 2} | {f"column {n}": ["x"] for n in range(5000)}),
    "lists.json": json.dumps({f"list{n}": [{"caption": "A dog."}] for n in range(5000)} | {"one": 1}),
    "images.csv": f"caption_0,caption_1{''.join(f',image_{n}' for n in range(500))}\nA dog.,A cat.{',7.jpg' * 500}\n",
}


@pytest.mark.parametrize("name", MANY)
def test_of_thousands_of_names_an_error_has_the_first(tmp_path, name):
    error = refused(tmp_path / name, MANY[name], r"(?m), .* \.\.\.")
    assert len(str(error)) < 1000


def test_a_table_may_have_many_columns_of_which_a_row_has_few(tmp_path):
    rows = [{"caption": f"Dog number {n} runs.", f"note {n % 50}": "x"} for n in range(30_000)]
    assert len(read(tmp_path / "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))) == 30_000


def test_quotes_that_never_close_are_not_sought_in_all_lines_again_and_again():
    class Counted(list):
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            return super().__getitem__(key)

    table = Counted(["a" * 1000 + 'x","""'] * 1000)  # each line opens a quote, and none of the later ones closes it
    assert [row.fields for row in split_rows(table, ",")] == [line.split(",") for line in table]
    assert table.reads < 30_000


@pytest.mark.parametrize("end", ["x", ' "x"', '"x'])
def test_blanks_before_a_quote_are_told_however_many_there_are(end):
    """A search that starts anew at each tab would take minutes."""
    fields = split_rows(['"' + "\t" * 1_000_000 + end], "\t")[0].fields
    assert len(fields) == 1_000_001


@pytest.mark.parametrize("separator", ['"', "\\", "\r"])
@pytest.mark.parametrize("line", ['"a"b"', '"a\\"b"', '"a\rb"'])
def test_any_character_may_separate(separator, line):
    """Before Python 3.13, csv takes these characters too, and this cannot fail."""
    assert len(split_rows([f"sep={separator}", line, "c"], separator)) == 3


def test_a_row_may_end_with_any_number_of_separators(tmp_path):
    captions = read(tmp_path / "a.csv", "image,caption\n" + "".join(f"{n}.jpg,A dog.{',' * 300_000}\n" for n in (1, 2)))
    assert list(captions.texts) == ["A dog.", "A dog."]


def test_empty_captions_keep_their_rows_and_are_counted(tmp_path):
    captions = read(tmp_path / "a.csv", "id,caption\n1,a dog\n2,\n3,a cat\n")
    assert list(captions.texts) == ["a dog", "", "a cat"]
    assert captions.not_understood() == ["1 empty"]
    objects = [{"captions": ["a dog", None]}, {"captions": []}, {"captions": ["a cat"]}]
    captions = read(tmp_path / "a.jsonl", jsonl(objects))
    assert list(captions.texts) == ["a dog", "", "a cat"]
    assert captions.groups.tolist() == [1, 1, 3]
    assert captions.not_understood() == ["1 empty", "1 row without a caption"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text('a dog, "wet"\nruns\t;|', min_size=1, max_size=12), min_size=3, max_size=6),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from([",", ";", "|"]),
)
def test_every_table_that_python_writes_is_read_back_or_refused(tmp_path, texts, quoting, separator):
    rows = [[n, f"a dog {text} here"] for n, text in enumerate(texts)]
    data = written(["id", "caption"], rows, quoting=quoting, delimiter=separator)
    try:
        captions = read(tmp_path / "a.csv", data)
    except AssetError as error:
        if "the quote that opens" not in error.found:
            raise
        return
    assert list(captions.texts) == [" ".join(text.strip().splitlines()) for _, text in rows]
    assert captions.ids.tolist() == list(range(len(texts)))


# What is said.


def test_what_was_understood_is_said_in_one_line(tmp_path):
    captions = read(tmp_path / "a.json", SIX_IMAGES["dataset_own.json"])
    assert (
        captions.understood() == '30 captions of 6 images · Karpathy JSON · first: "A brown dog runs along the beach."'
    )
    captions = read(tmp_path / "a.txt", "a kite\n\na boat\n")
    assert captions.understood() == '3 captions · a caption a line · first: "a kite" · 1 empty'
    captions = read(tmp_path / "a.csv", SIX_IMAGES["quoted.csv"])
    assert "comma-separated table, column caption, images by image_id" in captions.understood()
    captions = read(tmp_path / "a.csv", NO_IMAGES["other_name.csv"])
    assert "one column, utterance" in captions.understood()


# Encodings.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["lines.txt", "captions.txt", "Flickr8k.token.txt", "train.json", "captions.json"])
def test_unicode_is_read_with_its_byte_order_mark(tmp_path, encoding, name):
    data = (SIX_IMAGES | NO_IMAGES)[name]
    captions = read(tmp_path / name, data.replace("A brown dog", "Ein Hündchen").encode(encoding))
    assert captions.texts[0] == "Ein Hündchen runs along the beach."
    assert list(captions.texts[1:]) == TEXTS[1:]


FRENCH = ["Un chien court sur la plage près de l'eau.", "Un été à la mer, très bien.", "Une fille mange un gâteau."] * 4


@pytest.mark.parametrize(
    ("encoding", "texts", "named"),
    [
        ("cp1252", ["A café with a red door", "A dog’s ball – red"], "cp1252"),
        ("cp1252", ["Un café à côté, naïve", "Un chien"], "cp1252"),
        ("latin1", ["A café", "A dog"], "cp1252"),
        ("latin1", FRENCH, "cp1252"),
        ("mac-roman", ["A café près de l’eau", "À la mer, très bien", "Une fille mange un gâteau"], "mac-roman"),
        ("cp1250", ["Pies biegnie po plaży.", "Dziewczyna je żółte ciastko, ptak śpi."] * 3, "cp1250"),
        ("utf-16-le", FRENCH, "utf-16-le"),
        ("utf-16-be", FRENCH, "utf-16-be"),
        ("cp932", ["犬が砂浜を走っている。", "女の子がケーキを食べています。"] * 4, "cp932"),
        ("cp1251", ["Собака бежит по пляжу.", "Девочка ест торт."] * 4, "cp1251"),
        ("gb18030", ["一只狗在沙滩上奔跑。", "一个女孩在吃蛋糕。"] * 4, "gb18030"),
    ],
)
@pytest.mark.parametrize("form", ["{text}\n", "{n},{text}\n", '{{"caption": "{text}"}}\n'])
def test_another_encoding_is_named_and_following_the_advice_reads_it(tmp_path, encoding, texts, named, form):
    data = "".join(form.format(n=n, text=text) for n, text in enumerate(texts))
    if "," in form[:4]:
        data = "id,caption\n" + data
    error = refused(tmp_path / "a.txt", data.encode(encoding), "is not UTF-8 text")
    assert f"--encoding {named}" in error.advice
    assert list(read(tmp_path / "a.txt", data.encode(encoding), encoding=named).texts) == texts


def test_a_few_damaged_characters_in_utf_8_are_told_from_another_encoding(tmp_path):
    data = ("A café with a red door\n" * 20).encode() + b"A caf\xe9 x\n"
    error = refused(tmp_path / "a.txt", data, "line 21 is not UTF-8 text")
    assert "mend line 21" in error.advice
    assert "--encoding" not in error.advice


def test_utf_8_cut_off_within_a_character_is_damaged(tmp_path):
    assert "mend line 2" in refused(tmp_path / "a.txt", b"A dog\nA caf\xc3", "line 2 is not UTF-8 text").advice


def test_bytes_of_nothing_at_the_end_are_no_caption(tmp_path):
    assert list(read(tmp_path / "a.txt", "A dog\n" + "\0" * 500).texts) == ["A dog"]


def test_utf_16_that_is_cut_off_is_damaged(tmp_path):
    refused(tmp_path / "a.txt", lines("{text}").encode("utf-16")[:-1], "is not UTF-16 text")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_separate_captions(tmp_path, end):
    assert list(read(tmp_path / "a.txt", end.join(TEXTS) + end).texts) == TEXTS


# Files of other kinds.


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "zip archive"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x93NUMPY\x01", "numpy array"),
        (b"SQLite format 3\0", "SQLite"),
        (b"%PDF-1.4", "PDF"),
        (b"\xd0\xcf\x11\xe0", "office document"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\0", "tar archive"),
        (b"\x80\x02}q", "pickle"),
        (b"\xff\xd8\xff\xe0", "picture"),
    ],
)
def test_a_file_of_another_kind_is_named_whatever_its_ending(tmp_path, start, what):
    for name in ("captions.csv", "captions.json", "captions"):
        refused(tmp_path / name, start + bytes(range(256)), what)


def test_a_layout_may_be_named(tmp_path):
    data = "dog.jpg\tA dog.\ncat.jpg\tA cat.\n"
    assert list(read(tmp_path / "a.txt", data, layout="lines").texts) == data.splitlines()
    assert list(
        read(tmp_path / "b.txt", "left;right\nA dog;A cat\n", layout="table", text_columns=("right",)).texts
    ) == ["A cat"]
    assert list(read(tmp_path / "c.txt", json.dumps(COCO), layout="json").texts) == TEXTS
    assert list(read(tmp_path / "d.txt", SIX_IMAGES["train"], layout="jsonl").texts) == TEXTS
    assert list(read(tmp_path / "e.txt", parquet({"caption": TEXTS}), layout="parquet").texts) == TEXTS
    for layout in ("json", "jsonl", "parquet"):
        refused(tmp_path / "f.txt", "A dog runs.\nA cat sits.\n", "valid JSON|no JSON|read as parquet", layout=layout)


def test_images_keep_their_captions_together(tmp_path):
    captions = read(tmp_path / "a.jsonl", SIX_IMAGES["lists.jsonl"])
    assert [captions.group(row) for row in range(30)] == [image for image, _, _ in ROWS]
    assert set(captions.groups.tolist()) == set(IMAGES)


def test_python_has_nothing_to_say_of_lists_in_a_file():
    code = r"""from core.corpus.kinds import parse_list; print(parse_list("['a \\d dog']"))"""
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['a \\\\d dog']\n", "")
