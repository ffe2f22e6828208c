"""JSON files: documents and lines of objects, in the layouts in which captions are handed around."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.assets import AssetError
from core.corpus.kinds import kind_of
from core.corpus.table import Table, is_caption_name, table_of_objects

_SPLITS = {"train", "val", "validation", "valid", "dev", "test", "restval"}
_MOST_BROKEN = 0.1
_ACCEPTED = "COCO captions, or a layout that docs/captions.md lists"


def parse(text: str) -> Any:
    """Parse JSON; a number with a decimal point or an exponent stays as it is written, since it may be an id.

    Raises:
        ValueError: It is not valid JSON, or nested too deeply.
    """
    try:
        return json.loads(text, parse_float=str, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def looks_like_lines(lines: Sequence[str], *, also_texts: bool) -> bool:
    """Tell whether one of the first ten lines that are not blank is a JSON object or list, or also a text."""
    kinds = (dict, list, str) if also_texts else (dict, list)
    first = [line for line in lines[:100] if line.strip()][:10]
    for line in first:
        try:
            if isinstance(parse(line), kinds):
                return True
        except ValueError:
            continue
    return False


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
        raise AssetError(path, "holds no list or object of captions", expected=_ACCEPTED, advice="check the file")
    if "annotations" in document:
        return _coco(document, path)
    images = document.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return _karpathy([image for image in images if isinstance(image, dict)])
    return _columns(document) or _member(document, path) or _by_image(document, path)


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
        raise AssetError(path, found, expected='objects such as {"caption": "..."}', advice="check the file")
    if len(broken) > _MOST_BROKEN * (len(kept) + len(broken)):
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
        table = table_of_objects(rows, layout)
    elif kind is str:
        table = Table(layout=f"{layout} of texts", columns={"1": rows})
    else:
        width = max(map(len, rows))
        columns = {str(i + 1): [row[i] if i < len(row) else None for row in rows] for i in range(width)}
        table = Table(layout=f"{layout} of lists", columns=columns)
    table.lines, table.broken = [number for number, _ in kept], broken
    return table


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
    advice = "use COCO's captions_val2014.json, or a file in a layout that docs/captions.md lists"
    if not isinstance(annotations, list) or not annotations or not all(isinstance(a, dict) for a in annotations):
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
        file_names={image["id"]: image["file_name"] for image in images if isinstance(image.get("file_name"), str)},
        urls={image["id"]: image[address] for image in images if isinstance(image.get(address), str)},
    )


def _is_image(image: object) -> bool:
    return isinstance(image, dict) and isinstance(image.get("id"), int | str)


def _karpathy(images: Sequence[dict[str, Any]]) -> Table:
    """Read Karpathy's splits: `images[].sentences[].raw`, with the id of COCO's image where it is one."""
    name = next((key for key in ("cocoid", "imgid", "filename") if all(key in image for image in images)), None)
    groups = [image[name] if name else number for number, image in enumerate(images, 1)]
    captions, ids, owners = [], [], []
    for group, image in zip(groups, images, strict=True):
        sentences = image.get("sentences")
        for sentence in sentences if isinstance(sentences, list) else []:
            entry = sentence if isinstance(sentence, dict) else {"raw": sentence}
            captions.append(entry.get("raw"))
            ids.append(entry.get("sentid"))
            owners.append(group)
    table = Table(layout="Karpathy JSON", columns={"raw": captions, "image": owners}, texts="raw", groups="image")
    if all(number is not None for number in ids):
        table.columns["sentid"], table.ids = ids, "sentid"
    pairs = zip(groups, images, strict=True)
    table.file_names = {group: image["filename"] for group, image in pairs if isinstance(image.get("filename"), str)}
    return table


def _columns(document: dict[str, Any]) -> Table | None:
    """Read an object of columns, as pandas writes it: `{"caption": ["..."]}` or `{"caption": {"0": "..."}}`."""
    values = list(document.values())
    if not any(map(is_caption_name, document)) or len({type(value) for value in values}) != 1:
        return None
    if isinstance(values[0], dict):
        if any(value.keys() != values[0].keys() for value in values):
            return None
        document = {name: list(value.values()) for name, value in document.items()}
    elif not isinstance(values[0], list) or len({len(value) for value in values}) != 1:
        return None
    if any(isinstance(value, dict) for column in document.values() for value in column):
        return None
    return Table(layout="JSON object of columns", columns=document)


def _member(document: dict[str, Any], path: Path) -> Table | None:
    """Read the list of objects under the only key that holds one, such as `{"data": [{"caption": "..."}]}`."""
    lists = [
        name
        for name, value in document.items()
        if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)
    ]
    if lists and len(lists) < len(document):
        holding = [name for name in lists if any(map(is_caption_name, document[name][0]))]
        lists = holding or lists
    elif not set(lists) <= _SPLITS and not (len(lists) == 1 and kind_of(lists[0]) == "word"):
        return None  # each key is an image
    if len(lists) > 1:
        found = f"holds several lists: {', '.join(lists)}"
        raise AssetError(path, found, advice="save the one that you mean as a file of its own")
    if not lists:
        return None
    entries = document[lists[0]]
    layout = f"JSON list under {lists[0]}"
    return _table_of_values(entries, range(1, len(entries) + 1), [], path, layout=layout, item="entry")


def _by_image(document: dict[str, Any], path: Path) -> Table:
    """Read an object whose keys are images and whose values are captions, lists of them, or objects with them."""
    values = list(document.values())
    if all(isinstance(value, dict) for value in values):
        table = table_of_objects([{"image": name} | value for name, value in document.items()], "")
    elif all(isinstance(value, str | list) for value in values):
        table = Table(layout="", columns={"image": list(document), "caption": values})
    else:
        found = f"no layout with captions (keys: {', '.join(list(document)[:8])})"
        raise AssetError(
            path, found, expected=_ACCEPTED, advice="convert it to JSON lines: a caption and its image a line"
        )
    table.layout, table.groups = "JSON object of image and captions", "image"
    return table
