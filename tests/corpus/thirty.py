"""Thirty captions of six images, written for this project, and the same in many layouts."""

import csv
import io
import json

import pandas as pd

IMAGES = {
    "dog.jpg": [
        "A brown dog runs along the beach.",
        "A dog is running on wet sand.",
        "The dog plays near the sea, close to the waves.",
        "A happy dog on a sandy beach.",
        "A wet dog shakes off the water.",
    ],
    "kite.jpg": [
        "A red kite flies over the dunes.",
        "A child holds the string of a kite.",
        "Someone flies a kite on a windy day.",
        "The kite is high in a blue sky.",
        "A colorful kite above a green field.",
    ],
    "train.jpg": [
        "A train stops at a small station.",
        "People wait for a train, bags in hand.",
        "A blue train on the tracks.",
        "An old train passes a red building.",
        "The train station is almost empty.",
    ],
    "cat.jpg": [
        "A cat sleeps on a sofa.",
        "A gray cat lies on a couch.",
        "The cat naps in the sun.",
        "A kitten curls up on a pillow.",
        "A sleepy cat, eyes closed, on a chair.",
    ],
    "bike.jpg": [
        "A man rides a bike down the street.",
        "A cyclist passes a parked car.",
        "Someone on a bicycle in the rain.",
        "A boy rides his bike to school.",
        "A bicycle leans against a wall.",
    ],
    "cake.jpg": [
        "A chocolate cake on a plate.",
        "A woman cuts a birthday cake.",
        "Candles burn on a large cake.",
        "A slice of cake with a fork.",
        "Children sit around a birthday cake.",
    ],
}
ROWS = [(image, number, text) for image, texts in IMAGES.items() for number, text in enumerate(texts)]
TEXTS = [text for _, _, text in ROWS]
NUMBERS = {image: 391895 + 7 * i for i, image in enumerate(IMAGES)}


def lines(form: str) -> str:
    """One line a caption; the form may use image, stem, k, text, n (from 0), number (of the image)."""
    return "".join(
        form.format(image=image, stem=image.split(".")[0], k=k, text=text, n=n, number=NUMBERS[image]) + "\n"
        for n, (image, k, text) in enumerate(ROWS)
    )


def written(header: list[str] | None, rows: list[list[object]], **how: object) -> str:
    """A table as Python's csv writes it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", **how)
    writer.writerows([*([header] if header else []), *rows])
    return file.getvalue()


def jsonl(objects: list[object]) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


def parquet(columns: dict[str, object]) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file, index=False)
    return file.getvalue()


def parquet_with_pictures() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "image": pa.array([{"bytes": b"\xff\xd8", "path": image} for image in IMAGES], picture),
            "caption": pa.array(list(IMAGES.values())),
            "embedding": pa.array([[0.5] * 4] * 6),
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


KARPATHY = {
    "dataset": "own",
    "images": [
        {
            "imgid": i,
            "filename": image,
            "split": "train",
            "sentids": list(range(5 * i, 5 * i + 5)),
            "sentences": [
                {"tokens": text.lower().rstrip(".").split(), "raw": text, "imgid": i, "sentid": 5 * i + k}
                for k, text in enumerate(texts)
            ],
        }
        for i, (image, texts) in enumerate(IMAGES.items())
    ],
}
COCO = {
    "info": {"year": 2014},
    "images": [{"id": NUMBERS[image], "file_name": image} for image in IMAGES],
    "licenses": [],
    "annotations": [{"id": n, "image_id": NUMBERS[image], "caption": text} for n, (image, _, text) in enumerate(ROWS)],
}
_FIVE = [f"caption_{k}" for k in range(5)]
_PARTS = [(image, k, text) for image, k, text in ROWS]

SIX_IMAGES: dict[str, str | bytes] = {
    "captions.json": json.dumps(COCO),
    "annotations": json.dumps(COCO),
    "dataset_own.json": json.dumps(KARPATHY),
    "dataset.txt": json.dumps(KARPATHY, indent=1),
    "cocoid.json": json.dumps({"images": [i | {"cocoid": NUMBERS[i["filename"]]} for i in KARPATHY["images"]]}),
    "blip_list.json": json.dumps([{"image": f"val/{image}", "caption": texts} for image, texts in IMAGES.items()]),
    "blip.json": json.dumps([{"image": image, "image_id": f"coco_{image}", "caption": t} for image, _, t in ROWS]),
    "refs.json": json.dumps(IMAGES),
    "refs_objects.json": json.dumps({image: [{"caption": t} for t in texts] for image, texts in IMAGES.items()}),
    "refs_inner.json": json.dumps({image: {"captions": texts, "split": "val"} for image, texts in IMAGES.items()}),
    "data.json": json.dumps(
        {"version": 1, "data": [{"image_id": i, "captions": t} for i, t in enumerate(IMAGES.values())]}
    ),
    "wrapped.json": json.dumps({"captions": [{"image_id": NUMBERS[i], "caption": t} for i, _, t in ROWS]}),
    "columns.json": pd.DataFrame(_PARTS, columns=["image", "k", "caption"]).to_json(),
    "columns_lists.json": json.dumps({"image": [i for i, _, _ in ROWS], "caption": TEXTS}),
    "rows.json": json.dumps([[image, text] for image, _, text in ROWS]),
    "train.json": jsonl([{"image_id": NUMBERS[i], "caption": t} for i, _, t in ROWS]),
    "train": jsonl([{"image_id": NUMBERS[i], "caption": t} for i, _, t in ROWS]),
    "train.txt": jsonl([{"image": i, "text": t, "score": 0.5} for i, _, t in ROWS]),
    "lists.jsonl": jsonl([{"file_name": i, "captions": t} for i, t in IMAGES.items()]),
    "set.jsonl": jsonl([{"set": t} for t in IMAGES.values()]),
    "nested.jsonl": jsonl([{"file_name": i, "captions": [{"caption": c} for c in t]} for i, t in IMAGES.items()]),
    "raws.jsonl": jsonl(
        [{"filename": i, "sentences": [{"raw": c, "tokens": []} for c in t]} for i, t in IMAGES.items()]
    ),
    "five.jsonl": jsonl([{"image": i} | dict(zip(_FIVE, t, strict=True)) for i, t in IMAGES.items()]),
    "Flickr8k.token.txt": lines("{image}#{k}\t{text}"),
    "results_20130124.token": lines("{image}#{k}\t{text}"),
    "spaces.token": lines("{image}#{k} {text}"),
    "tabbed.txt": lines("{image}\t{text}"),
    "plain_names.txt": lines("{image} {text}"),
    "parts.txt": lines("{stem}0#{k} {text}"),
    "long_ids.txt": lines("COCO_val2014_{number:012} {text}"),
    "paths.txt": lines("images/{image} : {text}"),
    "names.txt": lines("COCO_val2014_000000{number} : {text}"),
    "colon.txt": lines("{image}: {text}"),
    "results.csv": "image_name| comment_number| comment\n" + lines("{image}| {k}| {text}"),
    "bars.txt": lines("{image} | {k} | {text}"),
    "captions.txt": written(["image", "caption"], [[i, t] for i, _, t in ROWS]),
    "unquoted.txt": "image,caption\n" + lines("{image},{text}"),
    "unquoted_no_header.csv": lines("{image},{text}"),
    "numbers_no_header.csv": written(None, [[NUMBERS[i], t] for i, _, t in ROWS]),
    "quoted.csv": written(["image_id", "caption"], [[NUMBERS[i], t] for i, _, t in ROWS], quoting=csv.QUOTE_ALL),
    "quoted.tsv": written(["image", "caption"], [[i, t] for i, _, t in ROWS], quoting=csv.QUOTE_ALL, delimiter="\t"),
    "semicolon.csv": written(["photo", "words"], [[i, t] for i, _, t in ROWS], delimiter=";"),
    "indexed.csv": pd.DataFrame(_PARTS, columns=["image", "k", "caption"]).to_csv(),
    "lists.csv": written(["image", "captions"], [[i, json.dumps(t)] for i, t in IMAGES.items()]),
    "python_lists.csv": pd.DataFrame({"image": list(IMAGES), "captions": list(IMAGES.values())}).to_csv(index=False),
    "five.csv": written(["image", *_FIVE], [[i, *t] for i, t in IMAGES.items()]),
    "five_alike.tsv": written(["image", *["caption"] * 5], [[i, *t] for i, t in IMAGES.items()], delimiter="\t"),
    "excel.csv": "\ufeff" + written(["Image ID", "Caption"], [[i, t] for i, _, t in ROWS]).replace("\n", "\r\n"),
    "utf16.csv": written(["image", "caption"], [[i, t] for i, _, t in ROWS]).encode("utf-16"),
    "utf32.tsv": written(["image", "caption"], [[i, t] for i, _, t in ROWS], delimiter="\t").encode("utf-32"),
    "old_mac.csv": written(["image", "caption"], [[i, t] for i, _, t in ROWS]).replace("\n", "\r"),
    "rows.parquet": parquet({"image": [i for i, _, _ in ROWS], "caption": TEXTS, "width": [640] * 30}),
    "lists.parquet": parquet({"img_id": list(range(6)), "captions": list(IMAGES.values())}),
    "objects.parquet": parquet({"id": list(range(6)), "captions": [[{"raw": c} for c in t] for t in IMAGES.values()]}),
    "pictures.parquet": parquet_with_pictures(),
    "table": parquet({"image": [i for i, _, _ in ROWS], "caption": TEXTS}),
}
"""Content by file name; all hold the thirty captions in order, and tell the six images."""

NO_IMAGES: dict[str, str | bytes] = {
    "lines.txt": lines("{text}"),
    "lines": lines("{text}"),
    "lines.md": lines("{text}").replace("\n", "\r\n"),
    "lines.csv": lines("{text}"),
    "lines.tsv": lines("{text}"),
    "quoted_lines.csv": written(None, [[t] for t in TEXTS]),
    "one_column.csv": written(["caption"], [[t] for t in TEXTS]),
    "one_column.txt": "Caption\n" + lines("{text}"),
    "other_name.csv": written(["utterance"], [[t] for t in TEXTS]),
    "utf16.txt": lines("{text}").encode("utf-16"),
    "strings.json": json.dumps(TEXTS),
    "strings.jsonl": jsonl(TEXTS),
    "wrapped_strings.json": json.dumps({"caption": TEXTS}),
    "ids.csv": written(None, [[n, t] for n, t in enumerate(TEXTS)]),
    "id_header.csv": written(["id", "caption"], [[n, t] for n, t in enumerate(TEXTS)]),
    "labels.csv": written(["caption", "label"], [[t, "animal"] for t in TEXTS]),
}
"""The same for files that name no images."""

ONE_EACH: dict[str, str | bytes] = {
    "Train_GCC.tsv": lines("{text}\thttp://example.org/{n}.jpg"),
    "laion.parquet": parquet(
        {"URL": [f"https://example.org/{n}.jpg" for n in range(30)], "TEXT": TEXTS, "hash": list(range(30))}
    ),
    "caption_url.csv": written(None, [[t, f"http://example.org/{n}.jpg"] for n, t in enumerate(TEXTS)]),
    "results.json": json.dumps([{"image_id": n, "caption": t} for n, t in enumerate(TEXTS)]),
    "by_name.json": json.dumps({f"{n:012}.jpg": t for n, t in enumerate(TEXTS)}),
    "by_name_inner.json": json.dumps({f"{n:012}": {"caption": t} for n, t in enumerate(TEXTS)}),
    "named.txt": lines("{n:05}.jpg,{text}"),
}
"""The same for files in which each caption has its own image."""


# Content, right captions and right images of files that were once read wrongly.
SEEN_WRONG = {
    "first name and caption are no header.csv": (
        "dog1.jpg,A dog runs.\ndog2.jpg,A cat sits on the mat.\n",
        ["A dog runs.", "A cat sits on the mat."],
        ["dog1.jpg", "dog2.jpg"],
    ),
    "colon first.txt": (
        "dog1.jpg : A dog runs.\ndog2.jpg : A cat sits on the mat.\n",
        ["A dog runs.", "A cat sits on the mat."],
        ["dog1.jpg", "dog2.jpg"],
    ),
    "tab first.tsv": (
        "COCO_val2014_1.jpg\tA dog.\nCOCO_val2014_2.jpg\tA cat sits on the mat.\n",
        ["A dog.", "A cat sits on the mat."],
        ["COCO_val2014_1.jpg", "COCO_val2014_2.jpg"],
    ),
    "short first caption.csv": (
        "img_a,Dog\nimg_b,A black cat\nimg_c,A red car\nimg_d,A tall man\n",
        ["Dog", "A black cat", "A red car", "A tall man"],
        None,
    ),
    "begins with group.txt": (
        "Group of people\nA dog runs on the beach.\nTwo men sit on a bench.\n",
        ["Group of people", "A dog runs on the beach.", "Two men sit on a bench."],
        None,
    ),
    "begins with image.txt": (
        "Image of a dog.\nA dog runs\nTwo men sit\n",
        ["Image of a dog.", "A dog runs", "Two men sit"],
        None,
    ),
    "begins with text.txt": (
        "Text on a sign\nA dog runs\nTwo men sit\n",
        ["Text on a sign", "A dog runs", "Two men sit"],
        None,
    ),
    "ends with path.txt": (
        "Sunset, path\nA dog, running\nA cat, asleep\n",
        ["Sunset, path", "A dog, running", "A cat, asleep"],
        None,
    ),
    "words.txt": (
        "key\nlock\ndoor\n",
        ["key", "lock", "door"],
        None,
    ),
    "texts and lists.json": (
        '{"a.jpg":"A dog runs.","b.jpg":["A cat sits.","A wet cat."],"c.jpg":"A man walks."}',
        ["A dog runs.", "A cat sits.", "A wet cat.", "A man walks."],
        ["a.jpg", "b.jpg", "b.jpg", "c.jpg"],
    ),
    "coco lists.json": (
        '{"annotations":[{"image_id":1,"caption":["A dog","B dog"]},{"image_id":2,"caption":"A cat"}]}',
        ["A dog", "B dog", "A cat"],
        [1, 1, 2],
    ),
    "caption or captions.json": (
        '{"1.jpg":{"caption":"A dog."},"2.jpg":{"captions":["A cat.","B cat."]}}',
        ["A dog.", "A cat.", "B cat."],
        ["1.jpg", "2.jpg", "2.jpg"],
    ),
    "one object.json": (
        '{"image":"1.jpg","caption":"A dog runs"}',
        ["A dog runs"],
        ["1.jpg"],
    ),
    "list and source.json": (
        '{"source":"COCO","captions":["A dog runs.","A cat sits."]}',
        ["A dog runs.", "A cat sits."],
        None,
    ),
    "split.json": (
        '{"columns":["image","caption"],"index":[0,1],"data":[["a.jpg","A dog runs"],["b.jpg","A cat"]]}',
        ["A dog runs", "A cat"],
        ["a.jpg", "b.jpg"],
    ),
    "rows with header.json": (
        '[["image","caption"],["a.jpg","A dog runs."],["b.jpg","A cat sits."]]',
        ["A dog runs.", "A cat sits."],
        ["a.jpg", "b.jpg"],
    ),
    "pretty objects.txt": (
        '{\n "image": "a.jpg",\n "caption": "A dog"\n}\n{\n "image": "b.jpg",\n "caption": "A cat"\n}\n',
        ["A dog", "A cat"],
        ["a.jpg", "b.jpg"],
    ),
    "trailing commas.csv": (
        "image,caption,\n1.jpg,A dog runs,\n2.jpg,A cat runs,\n",
        ["A dog runs", "A cat runs"],
        ["1.jpg", "2.jpg"],
    ),
    "sep.csv": (
        "sep=;\nimage;caption\n1.jpg;A dog runs\n2.jpg;A cat, wet\n",
        ["A dog runs", "A cat, wet"],
        ["1.jpg", "2.jpg"],
    ),
    "german.csv": (
        "Bild;Beschreibung\n1.jpg;Ein Hund, nass\n2.jpg;Eine Katze\n",
        ["Ein Hund, nass", "Eine Katze"],
        ["1.jpg", "2.jpg"],
    ),
    "markdown.md": (
        "| image | caption |\n|---|---|\n| 1.jpg | A dog runs |\n| 2.jpg | A cat runs |\n",
        ["A dog runs", "A cat runs"],
        ["1.jpg", "2.jpg"],
    ),
    "years.txt": (
        "A dog in the park, 2009\nA cat, 2010\n",
        ["A dog in the park, 2009", "A cat, 2010"],
        None,
    ),
    "commas.csv": (
        "A dog, running\nA cat, sitting\nA boy, wet\n",
        ["A dog, running", "A cat, sitting", "A boy, wet"],
        None,
    ),
    "bars.txt": (
        "A dog aaa | running\nA cat bbb | sitting\nA cow ccc | standing\n",
        ["A dog aaa | running", "A cat bbb | sitting", "A cow ccc | standing"],
        None,
    ),
    "line break.tsv": (
        'image\tcaption\n1.jpg\t"A dog\nruns."\n2.jpg\tA cat sits.\n',
        ["A dog runs.", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "old mac.txt": (
        "A dog runs.\rA cat sits.\rA man walks.\n",
        ["A dog runs.", "A cat sits.", "A man walks."],
        None,
    ),
    "name twice.json": (
        '{"a.jpg":"A dog runs.","a.jpg":"A wet dog."}',
        ["A dog runs.", "A wet dog."],
        ["a.jpg", "a.jpg"],
    ),
    "karpathy single.json": (
        '{"images":[{"imgid":1,"sentences":"A dog runs."},{"imgid":2,"sentences":{"raw":"A cat"}},'
        '{"imgid":3,"sentences":[{"raw":"A cow"}]}]}',
        ["A dog runs.", "A cat", "A cow"],
        [1, 2, 3],
    ),
    "blanks before commas.csv": (
        '"image" , "caption"\n"1.jpg" , "A dog, runs."\n"2.jpg" , "A cat"\n',
        ["A dog, runs.", "A cat"],
        ["1.jpg", "2.jpg"],
    ),
    "blank behind quote.csv": (
        'image,caption\n1.jpg,"A dog, runs." \n2.jpg,A cat\n',
        ["A dog, runs.", "A cat"],
        ["1.jpg", "2.jpg"],
    ),
    "backslashes.csv": (
        'image,caption\n1.jpg,"A \\"big\\" dog"\n2.jpg,A cat\n',
        ['A "big" dog', "A cat"],
        ["1.jpg", "2.jpg"],
    ),
    "quoted columns.tsv": (
        'image\tcaption\n"1.jpg"\t"A dog runs."\n"2.jpg"\t"A cat runs."\n',
        ["A dog runs.", "A cat runs."],
        ["1.jpg", "2.jpg"],
    ),
    "quoted comma.tsv": (
        'image\tcaption\n1.jpg\t"A dog, runs."\n2.jpg\tA cat runs.\n',
        ["A dog, runs.", "A cat runs."],
        ["1.jpg", "2.jpg"],
    ),
    "tuple and array.csv": (
        "image,captions\n1.jpg,\"('A dog.', 'A wet dog.')\"\n2.jpg,\"array(['A cat.', 'B cat.'], dtype=object)\"\n",
        ["A dog.", "A wet dog.", "A cat.", "B cat."],
        ["1.jpg", "1.jpg", "2.jpg", "2.jpg"],
    ),
    "caption and captions.jsonl": (
        '{"caption":"A dog","captions":["A dog","B dog"]}\n',
        ["A dog", "B dog"],
        [1, 1],
    ),
    "header without last comma.csv": (
        "image,caption\n1.jpg,A dog runs,\n2.jpg,A cat,\n",
        ["A dog runs", "A cat"],
        ["1.jpg", "2.jpg"],
    ),
    "image objects.jsonl": (
        '{"image":{"path":"a.jpg"},"caption":"A dog"}\n{"image":{"path":"b.jpg"},"caption":"A cat"}\n',
        ["A dog", "A cat"],
        ["a.jpg", "b.jpg"],
    ),
    "camel case.jsonl": (
        '{"imageId":1,"caption":"A dog"}\n{"imageId":1,"caption":"A cat"}\n',
        ["A dog", "A cat"],
        [1, 1],
    ),
    "null.json": (
        '{"1.jpg":null,"2.jpg":"A cat."}',
        ["", "A cat."],
        ["1.jpg", "2.jpg"],
    ),
    "lists of lists.json": (
        '[["A dog runs.","A wet dog."],["A cat sits.","A wet cat."]]',
        ["A dog runs.", "A wet dog.", "A cat sits.", "A wet cat."],
        [1, 1, 2, 2],
    ),
    "karpathy caption.json": (
        '{"images":[{"imgid":1,"sentences":[{"caption":"A dog"}]}]}',
        ["A dog"],
        [1],
    ),
    "commas between.jsonl": (
        '{"caption":"A dog"},\n{"caption":"A cat"}\n',
        ["A dog", "A cat"],
        None,
    ),
    "viewer.json": (
        '{"rows":[{"row_idx":0,"row":{"caption":"A dog"}}]}',
        ["A dog"],
        None,
    ),
    "pandas foreign.json": (
        '{"foto":{"0":"a.jpg","1":"b.jpg"},"satz":{"0":"Ein Hund rennt","1":"Eine Katze sitzt"}}',
        ["Ein Hund rennt", "Eine Katze sitzt"],
        ["a.jpg", "b.jpg"],
    ),
    "numbered columns.csv": (
        "0,1\n1.jpg,A dog runs\n2.jpg,A cat runs\n",
        ["A dog runs", "A cat runs"],
        ["1.jpg", "2.jpg"],
    ),
    "numbered rows.csv": (
        ",0\n0,A dog\n1,A cat runs\n",
        ["A dog", "A cat runs"],
        None,
    ),
    "tight list.csv": (
        "image,captions\n1.jpg,\"['A dog.','A wet dog.']\"\n",
        ["A dog.", "A wet dog."],
        ["1.jpg", "1.jpg"],
    ),
    "a first label that is a usual name.csv": (
        "title,A dog runs on the beach\nbody,A cat sits on the red mat\n" * 5,
        ["A dog runs on the beach", "A cat sits on the red mat"] * 5,
        None,
    ),
    "quotes in a list.csv": (
        'image,captions\n1.jpg,"[\'A sign reads ""stop"" ""go"".\', \'A sign.\']"\n',
        ['A sign reads "stop" "go".', "A sign."],
        ["1.jpg", "1.jpg"],
    ),
    "one name says text.csv": (
        "alt_text,remarks\nA dog runs.,It is good.\nA cat sits.,That is bad.\n",
        ["A dog runs.", "A cat sits."],
        None,
    ),
    "empty caption in an open quote.csv": (
        'id,caption\n0,A dog.\n1,"Stop sign.\n2,A cat.\n3,\n4,He said stop"\n',
        ["A dog.", '"Stop sign.', "A cat.", "", 'He said stop"'],
        None,
    ),
    "quoted and short.csv": (
        'image,caption,split\n1.jpg,"A dog, running",train\n2.jpg,"A cat, asleep"\n3.jpg,A cow,train\n',
        ["A dog, running", "A cat, asleep", "A cow"],
        ["1.jpg", "2.jpg", "3.jpg"],
    ),
    "surplus comma and an empty column.csv": (
        "image,caption,\n1.jpg,A dog runs.,\n2.jpg,A red, wet dog.,\n3.jpg,A cat sits.,\n",
        ["A dog runs.", "A red, wet dog.", "A cat sits."],
        ["1.jpg", "2.jpg", "3.jpg"],
    ),
    "surplus comma and a missing field.csv": (
        "image,caption,split\n1.jpg,A dog runs.,train\n2.jpg,A red, wet dog.\n"
        "3.jpg,A cat sits., train\n4.jpg,A cow.,val\n",
        ["A dog runs.", "A red, wet dog.", "A cat sits.", "A cow."],
        ["1.jpg", "2.jpg", "3.jpg", "4.jpg"],
    ),
    "commas without blanks below a header.csv": (
        "image,caption\n1.jpg,A dog,running\n2.jpg,A cat,sitting\n",
        ["A dog,running", "A cat,sitting"],
        ["1.jpg", "2.jpg"],
    ),
    "unquoted lists.csv": (
        "image,captions\n1.jpg,['A dog.', 'B.']\n2.jpg,['A cat.', 'C.']\n",
        ["A dog.", "B.", "A cat.", "C."],
        ["1.jpg", "1.jpg", "2.jpg", "2.jpg"],
    ),
    "hundreds.csv": (
        "100,100.jpg,A dog runs.\n101,101.jpg,A cat sits.\n",
        ["A dog runs.", "A cat sits."],
        ["100.jpg", "101.jpg"],
    ),
    "some numbers.txt": (
        "".join(f"{n} dogs run\n" for n in range(2, 11)) + "10000 people watch\n",
        [*(f"{n} dogs run" for n in range(2, 11)), "10000 people watch"],
        None,
    ),
    "tags.txt": (
        "1girl, solo, long hair\n1girl, red dress\n2girls, on a beach\n1boy, sword\n",
        ["1girl, solo, long hair", "1girl, red dress", "2girls, on a beach", "1boy, sword"],
        None,
    ),
    "number sign.csv": ("#,Beschreibung\n1,Ein Hund\n2,Eine Katze\n", ["Ein Hund", "Eine Katze"], None),
    "empty quotes.csv": ('caption\nA dog runs.\n""\nA cow stands.\n', ["A dog runs.", "", "A cow stands."], None),
    "columns and rows.json": (
        '{"columns":[{"name":"image"},{"name":"caption"}],"rows":[["1.jpg","A dog runs."]]}',
        ["A dog runs."],
        ["1.jpg"],
    ),
    "a text beside columns.json": (
        '{"image":["1.jpg","2.jpg"],"caption":["A dog runs.","A cat sits."],"split":"train"}',
        ["A dog runs.", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "image with a source.json": (
        '[{"image":{"src":"http://a.org/1.jpg","height":5},"caption":"A dog runs."}]',
        ["A dog runs."],
        ["http://a.org/1.jpg"],
    ),
    "images and their ids.json": (
        '{"7.jpg":[{"image_id":7,"caption":"A dog runs."}],"8.jpg":[{"image_id":8,"caption":"A cat sits."}]}',
        ["A dog runs.", "A cat sits."],
        ["7.jpg", "8.jpg"],
    ),
    "quotes and commas.csv": (
        'image,caption\n1.jpg,A "red" dog, running\n2.jpg,A "blue" dog\n',
        ['A "red" dog, running', 'A "blue" dog'],
        ["1.jpg", "2.jpg"],
    ),
    "rows under images.json": (
        '{"images":[{"row_idx":0,"row":{"image":"1.jpg","caption":"A dog runs."}}]}',
        ["A dog runs."],
        ["1.jpg"],
    ),
    "annotations of images.json": (
        '[{"image_id":7,"annotations":[{"caption":"A dog runs."},{"caption":"A wet dog."}]}]',
        ["A dog runs.", "A wet dog."],
        [7, 7],
    ),
    "attributes of images.json": (
        '{"a":{"filename":"1.jpg","attributes":{"caption":"A dog."}},'
        '"b":{"filename":"2.jpg","attributes":{"caption":"A cat."}}}',
        ["A dog.", "A cat."],
        ["1.jpg", "2.jpg"],
    ),
    "info beside captions.json": (
        '{"info":[{"year":2020}],"captions":[{"image":"1.jpg","caption":"A dog."},'
        '{"image":"2.jpg","caption":"A cat."}]}',
        ["A dog.", "A cat."],
        ["1.jpg", "2.jpg"],
    ),
    "commas and a second text.csv": (
        "image,caption,annotator\n1.jpg,A dog, wet, runs.,Anna Smith\n2.jpg,A cat, old,Bob Smith\n",
        ["A dog, wet, runs.", "A cat, old"],
        ["1.jpg", "2.jpg"],
    ),
    "commas in most captions.csv": (
        "image,caption,split\n1.jpg,A dog, wet, runs.\n2.jpg,A cat, old, sits.\n3.jpg,A cow, red.,train\n",
        ["A dog, wet, runs.", "A cat, old, sits.", "A cow, red."],
        ["1.jpg", "2.jpg", "3.jpg"],
    ),
    "form.csv": (
        "Timestamp,Your name,What do you see in the image?\n"
        "1/1/2023 15:14:15,Anna,A dog runs on the beach.\n1/2/2023 15:14:15,Bob,A cat sits.\n",
        ["A dog runs on the beach.", "A cat sits."],
        None,
    ),
    "question.csv": (
        "Timestamp,Describe the image in one sentence\n"
        '"1/1/2023 15:14:15","A dog runs."\n1/2/2023 15:14:15,A cat sits.\n',
        ["A dog runs.", "A cat sits."],
        None,
    ),
    "column without a name.csv": (
        "image,caption,\n1.jpg,A dog runs.,fine\n2.jpg,A cat sits.,fine\n",
        ["A dog runs.", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "instruction in each row.csv": (
        "HITId,Title,Description,Input.image_url,Answer.caption\n"
        + "".join(
            f"3X{n},Caption it,Write one sentence.,http://a.org/{n}.jpg,A dog runs {n} times\n" for n in range(6)
        ),
        [f"A dog runs {n} times" for n in range(6)],
        [f"http://a.org/{n}.jpg" for n in range(6)],
    ),
    "missing last field.csv": (
        "".join(f"{n}.jpg,A dog runs{',train' if n % 10 else ''}\n" for n in range(20)),
        ["A dog runs"] * 20,
        [f"{n}.jpg" for n in range(20)],
    ),
    "line breaks in all cells.csv": (
        'image,caption\n1.jpg,"A dog runs.\nA cat sits, wet."\n2.jpg,"A cow stands.\nA dog, asleep."\n',
        ["A dog runs. A cat sits, wet.", "A cow stands. A dog, asleep."],
        ["1.jpg", "2.jpg"],
    ),
    "quoted line breaks.csv": (
        'caption\n"A dog runs.\nA wet dog.\nA dog."\n"A cat sits."\n',
        ["A dog runs. A wet dog. A dog.", "A cat sits."],
        None,
    ),
    "texts and lists.csv": (
        "image,captions\n1.jpg,A dog runs.\n2.jpg,\"['A cat sits.', 'A wet cat.']\"\n",
        ["A dog runs.", "A cat sits.", "A wet cat."],
        ["1.jpg", "2.jpg", "2.jpg"],
    ),
    "objects in cells.csv": (
        'filename,file_attributes\n1.jpg,"{""caption"": ""A dog runs.""}"\n2.jpg,"{""caption"": ""A cat sits.""}"\n',
        ["A dog runs.", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "two captions split.json": (
        '{"columns":["image","caption","caption"],"data":[["1.jpg","A dog runs.","A wet dog."]]}',
        ["A dog runs.", "A wet dog."],
        ["1.jpg", "1.jpg"],
    ),
    "two captions rows.json": (
        '[["image","caption","caption"],["1.jpg","A dog runs.","A wet dog."]]',
        ["A dog runs.", "A wet dog."],
        ["1.jpg", "1.jpg"],
    ),
    "coco with names.json": (
        '{"annotations":[{"id":1,"image":"1.jpg","caption":"A dog runs."},'
        '{"id":2,"image":"2.jpg","caption":"A cat."}]}',
        ["A dog runs.", "A cat."],
        ["1.jpg", "2.jpg"],
    ),
    "first entry without a caption.json": (
        '{"info":[{"year":2020}],"val":[{"image":"1.jpg"},{"image":"2.jpg","caption":"A cat sits."}]}',
        ["", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "wrapped dataset.json": (
        '{"dataset":{"images":[{"file":"1.jpg","caption":"A dog runs."},{"file":"2.jpg","caption":"A cat sits."}]}}',
        ["A dog runs.", "A cat sits."],
        ["1.jpg", "2.jpg"],
    ),
    "regions.json": (
        '[{"id":7,"regions":[{"region_id":1,"image_id":7,"phrase":"A dog runs."},'
        '{"region_id":2,"phrase":"A wet dog."}]}]',
        ["A dog runs.", "A wet dog."],
        [7, 7],
    ),
    "viewer with features.json": (
        '{"features":[{"name":"caption"}],"rows":[{"row_idx":0,"row":{"image":"1.jpg","caption":"A dog runs."}}]}',
        ["A dog runs."],
        ["1.jpg"],
    ),
    "addresses in objects.json": (
        '[{"id":"x1","urls":{"raw":"http://a.org/1"},"caption":"A dog runs."}]',
        ["A dog runs."],
        None,
    ),
    "images and captions.json": (
        '{"images":["a.jpg","b.jpg"],"captions":["A dog runs.","A cat sits."]}',
        ["A dog runs.", "A cat sits."],
        ["a.jpg", "b.jpg"],
    ),
    "images under captions.json": (
        '{"captions":{"a.jpg":"A dog runs.","b.jpg":"A cat sits."}}',
        ["A dog runs.", "A cat sits."],
        ["a.jpg", "b.jpg"],
    ),
    "lists under captions.json": (
        '{"source":"mine","captions":{"a.jpg":["A dog runs."],"b.jpg":["A cat sits.","A wet cat."]}}',
        ["A dog runs.", "A cat sits.", "A wet cat."],
        ["a.jpg", "b.jpg", "b.jpg"],
    ),
    "tokens beside texts.jsonl": (
        '{"image":"a.jpg","caption":["a","dog","runs"],"alt":"A dog runs."}\n',
        ["A dog runs."],
        ["a.jpg"],
    ),
    "quoted commas.csv": (
        '"A dog, wet, runs.",http://example.org/1.jpg\n"A cat, old, sits.",http://example.org/2.jpg\n',
        ["A dog, wet, runs.", "A cat, old, sits."],
        ["http://example.org/1.jpg", "http://example.org/2.jpg"],
    ),
    "quoted commas and labels.csv": (
        '"A dog, wet, runs.",train\n"A cat, old, sits.",train\n' * 5,
        ["A dog, wet, runs.", "A cat, old, sits."] * 5,
        None,
    ),
    "numbers twice.csv": (
        "0,0,A dog runs.\n1,0,A wet dog.\n2,1,A cat sits.\n3,1,A wet cat.\n",
        ["A dog runs.", "A wet dog.", "A cat sits.", "A wet cat."],
        [0, 0, 1, 1],
    ),
    "source and text.txt": (
        "source,alt_text\n" + "coco,A dog runs\nmine,A cat sits\n" * 5,
        ["A dog runs", "A cat sits"] * 5,
        None,
    ),
    "brackets.csv": (
        "image,caption\n1.jpg,[A dog runs]\n2.jpg,[A cat runs]\n",
        ["[A dog runs]", "[A cat runs]"],
        ["1.jpg", "2.jpg"],
    ),
}
