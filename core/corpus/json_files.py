"""JSON files: parsed documents and lines, in the layouts in which captions are handed around."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.assets import AssetError, first_names
from core.corpus.json_text import parse
from core.corpus.kinds import REFERENCES, kind_of, kind_of_column
from core.corpus.table import (
    MOST_BROKEN,
    Table,
    distinct,
    is_caption_name,
    is_reference_name,
    refuse_sparse,
    table_of_objects,
)

_SPLITS = {"train", "val", "validation", "valid", "dev", "test", "restval"}
_ACCEPTED = "COCO captions, or a layout that docs/files.md lists"
_ONE_OF_THEM = "save the one that you mean as a file of its own"
_OTHER = "name the file that holds the captions"


def read_json_lines(lines: Sequence[str], path: Path) -> Table:
    """Read a JSON object, list or text from each line. Blank lines are skipped, other lines are broken.

    Raises:
        AssetError: Too many lines are broken, or none is left.
    """
    values: list[Any] = []
    numbers: list[int] = []
    broken: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values.append(parse(line))
            numbers.append(number)
        except ValueError:
            broken.append(number)
    return _table_of_values(values, numbers, broken, path, layout="JSON lines", item="line")


def read_json(document: Any, path: Path) -> Table:
    """Read a parsed JSON document.

    Raises:
        AssetError: It has no layout with captions; the error names what it is.
    """
    if isinstance(document, list):
        layout = "COCO results JSON (machine-made captions)" if _is_results(document) else "JSON list"
        return _table_of_values(document, range(1, len(document) + 1), [], path, layout=layout, item="entry")
    if not isinstance(document, dict) or not document:
        raise AssetError(path, "holds no list or object of captions", expected=_ACCEPTED, advice=_OTHER)
    if "nbformat" in document:
        raise AssetError(path, "a Jupyter notebook", expected=_ACCEPTED, advice=_OTHER)
    if "annotations" in document:
        return _coco(document, path)
    images = document.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return _karpathy(images)
    if _is_wrapped(document):
        return read_json(next(iter(document.values())), path)
    table = _columns(document, path) or _member(document, path) or _one_object(document, path)
    return table or _by_image(document, path)


def _is_wrapped(document: dict[str, Any]) -> bool:
    """Tell whether all is under a single key that is no image: `{"dataset": {"images": [...]}}`."""
    name, value = next(iter(document.items()))
    is_plain = len(document) == 1 and kind_of(name) == "word" and not is_caption_name(name)
    return is_plain and isinstance(value, dict) and any(isinstance(each, list | dict) for each in value.values())


def _table_of_values(
    values: Sequence[Any], numbers: Sequence[int], broken: list[int], path: Path, *, layout: str, item: str
) -> Table:
    """Make a table of objects, lists or texts, whichever most of the values are."""
    kinds = {kind: sum(isinstance(value, kind) for value in values) for kind in (dict, list, str)}
    kind = max(kinds, key=lambda each: kinds[each])
    kept = [(number, value) for number, value in zip(numbers, values, strict=True) if isinstance(value, kind)]
    broken = sorted([*broken, *set(numbers).difference(number for number, _ in kept)])
    if not kept:
        found = f"{item} {broken[0]:,} is no JSON object, list or text" if broken else "holds no captions"
        raise AssetError(path, found, expected='objects such as {"caption": "..."}', advice=_OTHER)
    if len(broken) > MOST_BROKEN * (len(kept) + len(broken)):
        found = (
            f"{len(broken):,} of {len(kept) + len(broken):,} are broken or cut off; the first is {item} {broken[0]:,}"
        )
        raise AssetError(
            path,
            found,
            expected='objects such as {"caption": "..."}',
            advice=f"mend {item} {broken[0]:,}, or name the layout with --layout",
        )
    rows: list[Any] = [value for _, value in kept]
    if kind is dict:
        if all(isinstance(row.get("row"), dict) for row in rows):  # as the viewer of Hugging Face gives them
            rows = [row["row"] for row in rows]
        if any(map(_is_coco, rows)):
            found = f"holds {len(rows)} JSON documents, of which {item} {kept[0][0]:,} has annotations"
            raise AssetError(path, found, expected="one COCO document", advice="save each as a file of its own")
        table = table_of_objects(rows, layout, path)
    elif kind is str:
        table = Table(layout=f"{layout} of texts", columns={"1": rows})
    else:
        table = _table_of_lists(rows, layout, path)
        kept = kept[len(kept) - len(table) :]
    table.lines, table.broken = [number for number, _ in kept], broken
    return table


def _is_coco(row: dict[str, Any]) -> bool:
    """Tell whether an object is a whole COCO document, and not an image with its annotations."""
    is_image = any(map(is_reference_name, row)) and not isinstance(row.get("images"), list)
    return isinstance(row.get("annotations"), list) and not is_image


def _table_of_lists(rows: list[list[Any]], layout: str, path: Path) -> Table:
    """Make a table of lists: each has the captions of an image, or each is a row, the first perhaps a header."""
    width = max(map(len, rows))
    refuse_sparse(rows, width, path)
    columns = [[row[i] if i < len(row) else None for row in rows] for i in range(width)]
    if {kind_of_column(column) for column in columns} <= {"text", "empty"}:
        return Table(layout=f"{layout} of lists of texts", columns={"1": rows})
    names = [str(i + 1) for i in range(width)]
    if all(isinstance(value, str) for value in rows[0]) and any(map(is_caption_name, rows[0])):
        names, columns = distinct(rows[0]), [column[1:] for column in columns]
    return Table(layout=f"{layout} of rows", columns=dict(zip(names, columns, strict=True)))


def _is_results(document: list[Any]) -> bool:
    """Tell whether this is what COCO's evaluation takes: one caption for each image, by its number, and no more."""
    return (
        bool(document)
        and all(
            isinstance(entry, dict) and {"image_id", "caption"} <= set(entry) <= {"image_id", "caption", "id"}
            for entry in document
        )
        and len({str(entry["image_id"]) for entry in document}) == len(document)
    )


def _coco(document: dict[str, Any], path: Path) -> Table:
    annotations = document["annotations"]
    advice = "use COCO's captions_val2014.json, or a file in a layout that docs/files.md lists"
    entries = annotations if isinstance(annotations, list) else []
    annotations = [entry for entry in entries if isinstance(entry, dict)]
    broken = [number for number, entry in enumerate(entries, 1) if not isinstance(entry, dict)]
    if not annotations or len(broken) > MOST_BROKEN * len(entries):
        raise AssetError(path, 'no list of objects under "annotations"', expected="COCO captions JSON", advice=advice)
    if not any("caption" in annotation for annotation in annotations):
        found, first = 'the annotations have no "caption"', annotations[0]
        if "keypoints" in first:
            found = "COCO *keypoints*, not captions"
        elif "bbox" in first or "segmentation" in first:
            found = "COCO *instances* (boxes and outlines of things), not captions"
        raise AssetError(path, found, expected='"caption" in each annotation', advice=advice)
    groups = [annotation.get("image_id") for annotation in annotations]
    has_groups = any(group is not None for group in groups)
    if not has_groups and any(is_reference_name(name) for each in annotations for name in each if name != "id"):
        places = range(1, len(entries) + 1)
        return _table_of_values(entries, places, [], path, layout="COCO captions JSON", item="annotation")
    if missing := sum(group is None for group in groups) if has_groups else 0:
        found = f'{missing:,} of {len(annotations):,} annotations have no "image_id"'
        raise AssetError(path, found, expected="one in each annotation, or in none", advice="add or remove them")
    columns = {"caption": [annotation.get("caption") for annotation in annotations]}
    if any("id" in annotation for annotation in annotations):
        columns["id"] = [annotation.get("id") for annotation in annotations]
    if has_groups:
        columns["image_id"] = groups
    images = document.get("images")
    images = [image for image in images if _is_image(image)] if isinstance(images, list) else []
    address = "coco_url" if any("coco_url" in image for image in images) else "flickr_url"
    return Table(
        layout="COCO captions JSON",
        columns=columns,
        texts="caption",
        ids="id" if "id" in columns else None,
        groups="image_id" if has_groups else None,
        broken=broken,
        file_names={image["id"]: image["file_name"] for image in images if isinstance(image.get("file_name"), str)},
        urls={image["id"]: image[address] for image in images if isinstance(image.get(address), str)},
    )


def _is_image(image: object) -> bool:
    return isinstance(image, dict) and isinstance(image.get("id"), int | str)


def _karpathy(entries: Sequence[Any]) -> Table:
    """Read Karpathy's splits: `images[].sentences[].raw`, with the id of COCO's image where it is one."""
    images = [entry for entry in entries if isinstance(entry, dict)]
    name = next((key for key in ("cocoid", "imgid", "filename") if all(key in image for image in images)), None)
    groups = [image[name] if name else number for number, image in enumerate(images, 1)]
    captions, ids, owners = [], [], []
    for group, image in zip(groups, images, strict=True):
        sentences = image.get("sentences")
        for sentence in sentences if isinstance(sentences, list) else [sentences]:
            captions.append(sentence.get("raw", sentence) if isinstance(sentence, dict) else sentence)
            ids.append(sentence.get("sentid") if isinstance(sentence, dict) else None)
            owners.append(group)
    table = Table(layout="Karpathy JSON", columns={"raw": captions, "image": owners}, texts="raw", groups="image")
    table.broken = [number for number, entry in enumerate(entries, 1) if not isinstance(entry, dict)]
    if all(number is not None for number in ids):
        table.columns["sentid"], table.ids = ids, "sentid"
    pairs = [(group, image.get("filename")) for group, image in zip(groups, images, strict=True)]
    table.file_names = {group: name for group, name in pairs if isinstance(group, int | str) and isinstance(name, str)}
    return table


def _columns(document: dict[str, Any], path: Path) -> Table | None:
    """Read an object of columns, as pandas writes it: `{"caption": ["..."]}`, `{"caption": {"0": "..."}}` or split."""
    if table := _names_and_rows(document):
        return table
    values = list(document.values())
    has_caption = any(map(is_caption_name, document))
    if all(isinstance(value, dict) for value in values):
        if not _are_rows(values, has_caption=has_caption):
            return None
        document = {name: list(value.values()) for name, value in document.items()}
    else:  # a text beside the columns is about all rows
        document = {name: value for name, value in document.items() if not isinstance(value, str | int | None)}
        if not any(map(is_caption_name, document)) or len(document) < 2:
            return None
        if not all(isinstance(value, list) for value in document.values()):
            return None
    if any(isinstance(value, dict) for column in document.values() for value in column):
        return None
    lengths = {name: len(value) for name, value in document.items()}
    if len(set(lengths.values())) > 1:
        found = f"its columns have different lengths: {first_names([f'{name} {n:,}' for name, n in lengths.items()])}"
        raise AssetError(path, found, advice="save it with one entry a caption in each column")
    return Table(layout="JSON object of columns", columns=document)


def _names_and_rows(document: dict[str, Any]) -> Table | None:
    """Read names of columns beside rows: `{"columns": ["image", "caption"], "data": [["7.jpg", "A dog runs."]]}`."""
    names = next((document[name] for name in ("columns", "fields", "header") if name in document), None)
    rows = next((document[name] for name in ("data", "rows") if name in document), None)
    if not isinstance(names, list) or not isinstance(rows, list) or not rows:
        return None
    names = [name.get("name") if isinstance(name, dict) else name for name in names]
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    columns = dict(zip(distinct(map(str, names)), map(list, zip(*rows, strict=True)), strict=True))
    return Table(layout="JSON object of columns and rows", columns=columns)


def _are_rows(columns: Sequence[dict[str, Any]], *, has_caption: bool) -> bool:
    """Tell whether objects have a value for each row under its name, and not for each image under a single key."""
    first = columns[0]
    is_numbered = all(str(name).isdigit() for name in first)
    if len(columns) == 1:
        return is_numbered and not any(isinstance(value, list) for value in first.values())
    return all(column.keys() == first.keys() for column in columns) and (has_caption or is_numbered)


def _member(document: dict[str, Any], path: Path) -> Table | None:
    """Read the list under the only key that holds captions, such as `{"data": [{"caption": "..."}]}`."""
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    names = [name for name, value in lists.items() if 2 * sum(isinstance(each, dict) for each in value) > len(value)]
    holding = [name for name in names if _has_captions(document[name])]
    if len(document) == 1:
        names = [name for name in lists if kind_of(name) == "word"]
    elif 0 < len(holding) < len(document):
        names = holding
    elif len(names) == len(document) and not _are_sets(document):
        return None  # each key is an image
    if len(names) > 1:
        raise AssetError(path, f"holds several lists: {first_names(names)}", advice=_ONE_OF_THEM)
    if not names:
        return None
    entries = document[names[0]]
    layout = f"JSON list under {names[0]}"
    return _table_of_values(entries, range(1, len(entries) + 1), [], path, layout=layout, item="entry")


def _are_sets(document: dict[str, Any]) -> bool:
    """Tell whether the keys are names of sets and not of images: usual ones, or words above objects with images."""
    if all(name.lower() in _SPLITS for name in document):
        return True
    first = [entries[0] for entries in document.values() if entries and isinstance(entries[0], dict)]
    has_images = any(is_reference_name(name) for entry in first for name in entry if name != "id")
    return has_images and kind_of_column(list(document)) not in REFERENCES


def _has_captions(entries: Sequence[Any]) -> bool:
    objects = [entry.get("row", entry) for entry in entries if isinstance(entry, dict)]
    return any(is_caption_name(name) for each in objects if isinstance(each, dict) for name in each)


def _one_object(document: dict[str, Any], path: Path) -> Table | None:
    """Read a single object with captions: a line of JSON lines alone, or texts or images under `captions`."""
    if not any(map(is_caption_name, document)):
        return None
    if any(map(is_reference_name, document)):
        return table_of_objects([document], "one JSON object", path)
    names = list(filter(is_caption_name, document))
    if len(names) == 1 and isinstance(document[names[0]], dict) and document[names[0]]:
        return _by_image(document[names[0]], path)
    if len(names) == 1 and isinstance(document[names[0]], list):
        return Table(layout=f"JSON list under {names[0]}", columns={names[0]: document[names[0]]})
    return table_of_objects([document], "one JSON object", path)


def _by_image(document: dict[str, Any], path: Path) -> Table:
    """Read an object whose keys are images and whose values are captions, lists of them, or objects with them."""
    values = [value for value in document.values() if value is not None]
    keys_are_images = kind_of_column(list(document)) in REFERENCES
    kinds = {type(value) for value in values}
    if len(document) > 1 and set(document) <= _SPLITS:
        raise AssetError(path, f"holds several sets: {', '.join(document)}", advice=_ONE_OF_THEM)
    if kinds == {dict} and any(_has_captions([value, *value.values()]) for value in values):
        objects = [value or {} for value in document.values()]
        if all(any(map(is_reference_name, each)) for each in objects if each):  # they name their images themselves
            return table_of_objects(objects, "JSON object of objects", path)
        rows = [{"image": name} | each for name, each in zip(document, objects, strict=True)]
        table = table_of_objects(rows, "", path)
    elif kinds and kinds <= {str, list} and (keys_are_images or kinds == {list}):
        table = Table(layout="", columns={"image": list(document), "caption": list(document.values())})
    else:
        found = f"no layout with captions (keys: {first_names(list(document), 8)})"
        advice = "convert it to JSON lines: a caption and its image a line"
        raise AssetError(path, found, expected=_ACCEPTED, advice=advice)
    table.layout, table.groups = "JSON object of image and captions", "image"
    return table
