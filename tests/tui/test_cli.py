"""The command line: streams, exit codes and JSON documents."""

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import WORD_DIM, Files, Outcome, demo_texts, refused, write_coco, write_vectors, write_weights

from core.ranking.methods import METHODS
from core.trust.variations import KINDS

QUERY = "a man rides a horse on the beach"

BAD = {
    "missing": ("captions.json", None, "no such file"),
    "empty": ("captions.json", b"", "is empty"),
    "cut off": ("captions.json", b'{"images": [], "annotations": [{"id": 1, "capt', "not valid JSON, or cut off"),
    "no captions": ("captions.json", b'[{"image_id": 1, "file_name": "a.jpg"}]', "no column holds sentences"),
    "instances": ("captions.json", b'{"annotations": [{"id": 1, "bbox": [0, 0, 1, 1]}]}', "COCO *instances*"),
    "page": ("captions.json", b"<html>404</html>", "an HTML or XML page"),
    "latin1": ("captions.txt", "un café\n".encode("latin1"), "not UTF-8"),
    "blank": ("captions.txt", b"\n\n", "holds no captions"),
    "zip": ("captions.docx", b"PK\x03\x04", "zip archive"),
    "gzip": ("captions.txt.gz", b"\x1f\x8b\x08", "gzip"),
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("INFERSENT_TUI_") or name == "NO_COLOR"]:
        monkeypatch.delenv(name)


def command(*args: object) -> list[str]:
    """Return the command that runs `infersent-tui` in another process."""
    return [sys.executable, "-m", "tui", *map(str, args)]


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"} | changes


# search


def test_compare_gives_every_methods_hits_with_their_ranks_by_the_others(run, files):
    document = run("compare", "two", "dogs", "--json", "-k", "5", *files.flags).document
    assert list(document["methods"]) == ["infersent", "words", "bm25", "context", "fused"]
    assert len(document["overlaps"]) == 10
    for method, hits in document["methods"].items():
        assert len(hits) == 5
        for rank, hit in enumerate(hits, start=1):
            assert set(hit) == {
                *("rank", "row", "distance", "score", "caption", "caption_id", "image_id", "file_name"),
                *("ranks", "shared"),
            }
            assert hit["rank"] == rank
            assert (hit["score"] is None) == (method not in ("bm25", "fused"))
            assert set(hit["ranks"]) == set(document["methods"]) - {method}
            assert all(word in hit["caption"] for word in hit["shared"])
    assert any(word.lower() == "dog" for hit in document["methods"]["bm25"] for word in hit["shared"])


def test_compare_prints_only_the_methods_asked_for(run, files):
    done = run("compare", "a dog", "--method", "bm25", "--method", "words", *files.flags)
    assert [line for line in done.out.splitlines() if not line.startswith(" ")] == ["bm25", "words"]
    assert "overlap@10  bm25 and words: " in done.err


def test_compare_finds_only_captions_that_meet_the_filter(run, files):
    document = run("compare", QUERY, "--filter", "length>9", "--json", *files.flags).document
    found = [hit["caption"] for hits in document["methods"].values() for hit in hits]
    assert found
    assert all(len(text.split()) > 9 for text in found)
    assert refused(run("compare", "--filter", "dog", "--against", "random", *files.flags), "--filter needs a TEXT")
    assert refused(run("compare", QUERY, "--filter", "colour:red", *files.flags), "there is no such column")


def test_a_sum_cannot_be_compared(run, files):
    done = run("compare", "a dog - a cat", *files.flags)
    assert done.code == 2
    assert "sum" in done.err


def test_search_takes_a_sum_and_names_its_terms(run, files):
    done = run("search", "a dog - 0.5 * a cat", "--json", *files.flags)
    assert [(term["weight"], term["text"]) for term in done.document["terms"]] == [(1, "a dog"), (-0.5, "a cat")]
    assert [token["text"] for token in done.document["terms"][1]["tokens"]] == ["a", "cat"]
    assert "-0.5 × a cat" in run("search", "a dog - 0.5 * a cat", *files.flags).err


def test_search_says_that_a_sum_has_no_list_by_another_method(run, files):
    said = "a sum or a feature has no list by bm25: ranked by infersent"
    done = run("search", "a dog - 0.5 * a cat", "--method", "bm25", "--json", *files.flags)
    assert (said in done.err, done.document["method"]) == (True, "infersent")
    for arguments in (["a dog"], ["a dog - a cat", "--quiet"]):
        assert said not in run("search", *arguments, "--method", "bm25", *files.flags).err
    assert said not in run("search", "a dog - a cat", "--method", "auto", *files.flags).err


def test_search_finds_only_captions_that_meet_the_filter(run, files):
    done = run("search", QUERY, "--filter", "length>9 -dog", "--json", "-k", "300", *files.flags)
    captions = [hit["caption"] for hit in done.document["hits"]]
    assert captions
    assert all(len(text.split()) > 9 and not re.search(r"\bdog\b", text, re.IGNORECASE) for text in captions)
    assert f"filter: {len(captions)} of 300 captions" in done.err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour:red", "colour: there is no such column"),
        ("/(/", "is no regular expression"),
        ("is:bookmarked", "bookmarks are kept by the explorer"),
        (" ".join(["-dog"] * 33), "more than 32 conditions"),
    ],
)
def test_a_filter_that_these_captions_cannot_meet_is_refused_before_they_are_encoded(run, files, text, reason):
    done = run("search", QUERY, "--filter", text, *files.flags)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert "encoding" not in done.err
    assert not list(files.cache.glob("matrix/*"))


def test_search_json_is_one_document_with_exactly_these_keys(run, files):
    done = run("search", *QUERY.split(), "-k", 7, "--json", *files.flags)
    assert done.code == 0
    document = done.document
    assert set(document) == {
        *(
            "query",
            "method",
            "filter",
            "tokens",
            "feature",
            "terms",
            "verdict",
            "hits",
            "timings_ms",
            "model",
            "captions",
            "corpus",
        ),
    }
    assert document["query"] == QUERY
    assert document["method"] == "infersent"
    assert [token["text"] for token in document["tokens"]] == QUERY.split()
    assert all(set(token) == {"text", "known", "importance"} for token in document["tokens"])
    assert {"level", "reasons"} <= set(document["verdict"])
    assert document["verdict"]["level"] in ("reliable", "doubtful", "unreliable")
    assert all(isinstance(reason, str) for reason in document["verdict"]["reasons"])
    assert [hit["rank"] for hit in document["hits"]] == [1, 2, 3, 4, 5, 6, 7]
    keys = {"rank", "distance", "score", "closer_than", "row", "caption", "caption_id", "image_id", "file_name"}
    assert all(set(hit) == keys for hit in document["hits"])
    assert all(hit["score"] is None and hit["closer_than"] is None for hit in document["hits"])
    texts = demo_texts(300)
    for hit in document["hits"]:
        assert hit["caption"] == texts[hit["row"]]
        assert hit["image_id"] == 100 + hit["row"] // 5
    distances = [hit["distance"] for hit in document["hits"]]
    assert distances == sorted(distances)
    assert document["timings_ms"]["total"] > 0
    assert document["model"] == "weights"
    assert document["captions"] == "captions"


@pytest.mark.parametrize("method", ["bm25", "fused"])
def test_methods_with_scores_have_no_distances(run, files, method):
    hits = run("search", *QUERY.split(), "--method", method, "--json", *files.flags).document["hits"]
    assert len(hits) == 10
    assert all(hit["distance"] is None and hit["closer_than"] is None for hit in hits)
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    plain = run("search", *QUERY.split(), "--method", method, "--plain", *files.flags).out.splitlines()
    assert [float(line.split("\t")[1]) for line in plain] == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("method", ["words", "context"])
def test_methods_with_distances_have_no_scores(run, files, method):
    document = run("search", *QUERY.split(), "--method", method, "--json", *files.flags).document
    assert document["method"] == method
    distances = [hit["distance"] for hit in document["hits"]]
    assert distances == sorted(distances)
    assert all(hit["score"] is None for hit in document["hits"])


def test_within_prints_all_hits_to_a_distance_and_k_of_them_at_most(run, files):
    every = run("search", *QUERY.split(), "-k", 300, "--json", *files.flags).document["hits"]
    for distance in (every[0]["distance"] / 2, every[4]["distance"], every[150]["distance"], 2):
        near = [hit["row"] for hit in every if hit["distance"] <= distance]
        found = run("search", *QUERY.split(), "--within", distance, "--json", *files.flags)
        assert [hit["row"] for hit in found.document["hits"]] == near
        assert found.code == (0 if near else 1)
    some = run("search", *QUERY.split(), "--within", 2, "-k", 120, "--json", *files.flags).document["hits"]
    assert [hit["row"] for hit in some] == [hit["row"] for hit in every[:120]]


@pytest.mark.parametrize("method", ["bm25", "fused", "auto"])
def test_within_is_refused_where_a_method_may_have_no_distances(run, files, method):
    assert refused(run("search", "dog", "--within", 1, "--method", method, *files.flags), "--within needs a method")


def test_queries_without_hits_are_counted(run, files):
    path = files.folder / "hits.csv"
    done = run("search", "-", "-k", 1, "-o", path, *files.flags, stdin="qwertz\na dog\n\n")
    assert f"{path}: 1 rows; 2 of 3 queries have no hits" in done.err
    assert path.read_text().splitlines()[1].startswith("2,a dog,1,")
    assert "no queries on standard input" in run("search", "-", *files.flags).err


def test_doctor_describes_vectors_beside_embeddings(run, files):
    embeddings, bare = files.folder / "e.npy", files.folder / "bare.vec"
    np.save(embeddings, np.random.default_rng(0).standard_normal((300, 8)))
    flags = ["--embeddings", embeddings, "--captions", files.captions, "--cache-dir", files.cache]
    assert "vectors" not in run("doctor", "--json", *flags).document
    document = run("doctor", "--json", *flags, "--vectors", files.vectors).document
    assert (document["ok"], document["vectors"]["path"]) == (True, str(files.vectors))
    bare.write_text("dog 0.1 0.2\ncat 0.3 0.4\n")
    assert refused(run("search", "a dog", *flags, "--vectors", bare), "no vectors for the sentence marks")
    document = run("doctor", "--json", *flags, "--vectors", bare).document
    assert not document["ok"], "once they are converted, their words are known"


def test_a_theme_that_does_not_exist_is_refused_with_the_nearest_name(run, files, monkeypatch):
    monkeypatch.setenv("INFERSENT_TUI_THEME", "nrod")
    done = run(*files.flags)
    assert done.code == 2
    assert "there is no theme 'nrod'; did you mean nord?" in done.err


def test_a_comparison_says_what_a_method_lacks(run, files):
    embeddings = files.folder / "e.npy"
    np.save(embeddings, np.random.default_rng(0).standard_normal((300, 8)))
    flags = ["--embeddings", embeddings, "--captions", files.captions, "--cache-dir", files.cache]
    done = run("compare", "a dog", *flags)
    assert "these embeddings came without their encoder" in done.out
    assert "words needs word vectors" in done.out
    assert "and words" not in done.err, "no overlap of empty lists"
    assert "infersent" not in done.out, "they may be of any encoder"
    assert "embeddings" in done.out.splitlines()
    answer = run("search", "a dog", *flags)
    assert answer.out.splitlines()[0] == "EMBEDDINGS"
    as_json = run("compare", "a dog", "--json", *flags).document
    assert "infersent" in as_json["methods"], "where programs read, the name stays"


def test_queries_that_arrive_together_have_the_answers_of_single_ones(run, files):
    texts = ["two dogs near a window", "a dog near a window - 0.5 * a cat", "qwertz", "", demo_texts(300)[7], "a kite"]
    done = run("search", "-", "--jsonl", "-k", 20, *files.flags, stdin="\r\n".join(texts))
    together = [json.loads(line) for line in done.out.splitlines()]
    assert [document["query"] for document in together] == texts
    for text, ours in zip(texts, together, strict=True):
        alone = run("search", text, "--json", "-k", 20, *files.flags).document
        assert ours["tokens"] == [
            {**token, "importance": pytest.approx(token["importance"], abs=0.1)} for token in alone["tokens"]
        ]
        assert [term["text"] for term in ours["terms"]] == [term["text"] for term in alone["terms"]]
        distances = [[hit["distance"] for hit in document["hits"]] for document in (ours, alone)]
        assert distances[0] == pytest.approx(distances[1], abs=1e-4)
        assert {hit["row"] for hit in ours["hits"][:5]} <= {hit["row"] for hit in alone["hits"][:8]}


def test_search_writes_its_hits_to_a_file(run, files):
    path = files.folder / "hits.jsonl"
    done = run("search", "-", "-k", 3, "-o", path, *files.flags, stdin="a dog\na cat\n")
    assert (done.code, done.out) == (0, "")
    assert f"{path}: 6 rows" in done.err
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["query"] for row in rows] == ["a dog"] * 3 + ["a cat"] * 3
    assert [row["query_number"] for row in rows] == [1] * 3 + [2] * 3
    assert [row["rank"] for row in rows] == [1, 2, 3] * 2
    assert rows[0]["caption_id"] == 1000 + rows[0]["row"]
    assert rows[0]["file_name"] == f"image_{rows[0]['row'] // 5}.jpg"
    before = path.read_bytes()
    assert refused(run("search", "dog", "-o", files.folder / "hits.xls", *files.flags), "one of .csv")
    assert refused(run("search", "dog", "-o", path, "--json", *files.flags), "choose one of")
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["search", "compare"])
def test_a_text_that_begins_with_a_dash_is_told_where_it_goes(run, files, command):
    assert refused(run(command, "- dog", *files.flags), f"infersent-tui {command} -- '- dog'")
    assert run(command, *files.flags, "--", "- dog").code == 0


def test_export_writes_the_corpus_as_embedding_atlas_reads_it(run, files):
    path = files.folder / "corpus.parquet"
    done = run("export", "-o", path, "--neighbors", 3, *files.flags)
    assert (done.code, done.out) == (0, "")
    assert f"embedding-atlas {path} --text caption --x projection_x --y projection_y --neighbors neighbors" in done.err
    table = pd.read_parquet(path)
    texts = demo_texts(300)
    assert table["caption"].tolist() == texts
    assert table["caption_id"].tolist() == [1000 + row for row in range(300)]
    assert table["file_name"][7] == "image_1.jpg"
    assert table[["projection_x", "projection_y"]].notna().all(axis=None)
    hits = run("search", texts[4], "-k", 4, "--json", *files.flags).document["hits"][1:]
    assert table["neighbors"][4]["ids"].tolist() == [hit["row"] for hit in hits]
    np.testing.assert_allclose(table["neighbors"][4]["distances"], [hit["distance"] for hit in hits], atol=1e-5)
    run("export", "-o", path, "--neighbors", 0, *files.flags)
    assert "neighbors" not in pd.read_parquet(path)


def test_regions_are_listed_searched_and_exported_alike(run, files):
    listed = run("regions", "--json", *files.flags).document
    assert listed["k"] == len(listed["regions"]) > 1
    assert [each["number"] for each in listed["regions"]] == list(range(1, listed["k"] + 1))
    sizes = [each["captions"] for each in listed["regions"]]
    assert (sizes, sum(sizes)) == (sorted(sizes, reverse=True), 300)
    done = run("regions", *files.flags)
    lines = done.out.splitlines()
    assert len(lines) == listed["k"]
    assert f"{listed['held']:.0%} of the variance lies between the regions" in done.err
    assert all(each["name"] in line for each, line in zip(listed["regions"], lines, strict=True))
    path = files.folder / "corpus.parquet"
    run("export", "-o", path, "--neighbors", 0, *files.flags)
    table = pd.read_parquet(path)
    for each in listed["regions"]:
        rows = np.flatnonzero(table["region"] == each["number"])
        assert set(table["region_name"][rows]) == {each["name"]}
        asked = ["--filter", f"region:{each['number']}", "--json", "-k", 300]
        hits = run("search", QUERY, *asked, *files.flags).document["hits"]
        assert {hit["row"] for hit in hits} == set(rows.tolist())
        assert each["central"]["row"] in rows


def test_captions_without_a_known_word_are_in_no_region_and_at_no_place(run, files):
    path, out = files.folder / "some.txt", files.folder / "corpus.parquet"
    path.write_text("\n".join([*demo_texts(30), "qwrtz", "qwrtz zzz"]))
    flags = replace(files, captions=path).flags
    assert "2 captions without a known word in none of them" in run("regions", *flags).err
    run("export", "-o", out, "--neighbors", 0, *flags)
    table = pd.read_parquet(out)
    columns = ["projection_x", "projection_y", "region", "region_name"]
    assert table[columns].isna().all(axis=1).tolist() == [False] * 30 + [True] * 2
    path.write_text("qwrtz\nzzz qwrtz")
    done = run("regions", *flags)
    assert (done.code, done.out) == (1, "")


def test_a_region_that_is_not_there_is_refused_with_those_that_are(run, files):
    name = run("regions", "--json", *files.flags).document["regions"][0]["name"]
    assert refused(run("search", QUERY, "--filter", "region:99", *files.flags), f"there are 1 {name}, 2 ")
    assert refused(run("search", QUERY, "--filter", "region:qwrtz", *files.flags), "there is no such region")


def test_export_places_captions_between_phrases(run, files):
    path = files.folder / "corpus.parquet"
    run("export", "-o", path, "--neighbors", 0, *files.flags)
    principal = pd.read_parquet(path)[["projection_x", "projection_y"]].to_numpy()
    done = run("export", "-o", path, "--neighbors", 0, "--axes", "a dog > a cat; a man > a crowd", *files.flags)
    assert "of the variance" in done.err
    placed = pd.read_parquet(path)[["projection_x", "projection_y"]].to_numpy()
    assert np.isfinite(placed).all()
    assert np.abs(placed - principal).max() > 1e-3
    for axes, why in [("a dog", "two pairs of phrases"), ("a > a; a dog > a cat", "begins where it ends")]:
        assert refused(run("export", "-o", path, "--neighbors", 0, "--axes", axes, *files.flags), why)


def test_no_output_replaces_a_file_that_is_read(run, files):
    captions = files.folder / "lines.jsonl"
    captions.write_text("".join(json.dumps({"caption": text}) + "\n" for text in demo_texts(60)))
    before = captions.read_bytes()
    flags = ["--model", files.weights, "--vectors", files.vectors, "--cache-dir", files.cache, "--model-version", 2]
    assert refused(run("search", "dog", "-o", captions, "--captions", captions, *flags), "is a file that is read")
    assert captions.read_bytes() == before


def test_export_refuses_other_files(run, files):
    assert refused(run("export", "-o", files.folder / "corpus.csv", *files.flags), "one of .parquet")
    assert refused(run("export", "-o", files.folder / "no" / "x.parquet", *files.flags), "in a folder that exists")
    assert refused(run("export", "-o", "-", *files.flags), "no ending")


def test_a_bm25_query_that_matches_nothing_finds_nothing_and_exits_1(run, files):
    done = run("search", "on the", "--method", "bm25", "--json", *files.flags)
    assert done.code == 1
    assert done.document["hits"] == []
    assert "no hits" in run("search", "on the", "--method", "bm25", *files.flags).err


def test_an_unknown_method_is_refused(run, files):
    assert refused(run("search", "a dog", "--method", "magic", *files.flags), "'magic' is not one of")


# calibrate


def quick(monkeypatch) -> None:
    """Make calibrations use fewer queries."""
    monkeypatch.setattr("core.trust.probing._SOURCES", 120)
    monkeypatch.setattr("core.trust.probing._PER_LENGTH", 30)


def test_calibrate_json_is_one_valid_document(run, files, monkeypatch):
    quick(monkeypatch)
    done = run("calibrate", "--json", *files.flags)
    assert done.code == 0

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(done.out, parse_constant=refuse)
    assert {"auroc_within_length", "false_alarm", "ece", "foreign_reliable", "short", "curve"} <= document.keys()
    assert set(document["auroc"]) == {"verdict", "words", "nearest_distance"}
    assert document["captions"] == 300
    assert {cell["kind"] for cell in document["curve"]} == {"span", "words", "whole"}
    assert all(set(cell["by_method"]) == set(METHODS) for cell in document["curve"])


def test_calibrate_prints_a_report_and_later_searches_use_it(run, files, monkeypatch):
    quick(monkeypatch)
    before = run("search", *QUERY.split(), "--json", *files.flags).document
    assert before["verdict"]["probability"] is None
    done = run("calibrate", *files.flags)
    assert done.code == 0
    assert "whole captions" in done.out
    after = run("search", *QUERY.split(), "--json", *files.flags).document
    assert 0 <= after["verdict"]["whole"] <= 1
    assert (before["verdict"]["whole"], before["verdict"]["long_enough"]) == (None, None)
    assert after["verdict"]["long_enough"] in (True, False)
    assert after["verdict"].keys() == {
        *("level", "reasons", "advice", "probability", "whole", "in_corpus", "confirmed", "attainable", "long_enough")
    }
    assert all(0 <= hit["closer_than"] <= 1 for hit in after["hits"])
    assert [hit["row"] for hit in after["hits"]] == [hit["row"] for hit in before["hits"]]
    few = run("search", *QUERY.split(), "-k", 3, "--json", *files.flags).document
    assert few["verdict"] == after["verdict"]  # however few hits are wanted


def test_calibrate_wants_fifty_captions(run, files):
    write_coco(files.captions, demo_texts(49))
    assert refused(run("calibrate", *files.flags), "on so few captions")


# search: output and input


def test_a_caption_asked_is_its_own_first_hit_at_no_distance(run, files):
    text = demo_texts(300)[17]
    first = run("search", text, "--json", *files.flags).document["hits"][0]
    assert (first["row"], first["distance"], first["caption"]) == (17, 0.0, text)


def test_results_go_to_stdout_and_messages_to_stderr(run, files):
    done = run("search", QUERY, "-k", 3, *files.flags)
    level, *reasons, first, second, third = done.out.splitlines()
    assert level in ("RELIABLE", "DOUBTFUL", "UNRELIABLE")
    assert reasons
    assert all(reason.startswith("  ") and len(reason) <= 100 for reason in reasons)
    assert [line.split()[0] for line in (first, second, third)] == ["1", "2", "3"]
    assert "encoding captions" in done.err
    assert QUERY in done.err
    assert "captions (300 captions)" in done.err


def test_quiet_leaves_stderr_empty(run, files):
    loud = run("search", QUERY, "-k", 3, *files.flags)
    for arguments in (["--json"], ["--jsonl"], ["--plain"], []):
        done = run("search", QUERY, "-k", 3, "--quiet", *arguments, *files.flags)
        assert (done.code, done.err) == (0, "")
    assert done.out == loud.out


def test_one_word_is_unreliable(run, files):
    assert run("search", "horse", *files.flags).out.startswith("UNRELIABLE\n")


def test_a_query_without_a_known_word_finds_nothing_and_exits_1(run, files):
    done = run("search", "qwertz", *files.flags)
    assert done.code == 1
    assert done.out.startswith("UNRELIABLE\n  − no word of the query is known")
    assert "no hits" in done.err
    done = run("search", "qwertz", "--json", *files.flags)
    assert done.code == 1
    assert done.document["hits"] == []
    assert done.document["tokens"] == [{"text": "qwertz", "known": False, "importance": 0.0}]
    assert done.document["verdict"]["level"] == "unreliable"


def test_an_empty_query_finds_nothing_and_exits_1(run, files):
    done = run("search", "", "--json", *files.flags)
    assert done.code == 1
    assert (done.document["hits"], done.document["tokens"], done.document["verdict"]) == ([], [], None)


def test_each_line_of_standard_input_is_a_query_blank_ones_too(run, files):
    lines = [QUERY, "", "qwertz", "two dogs play in the snow", "   "]
    done = run("search", "-", "--jsonl", "-k", 2, *files.flags, stdin="\n".join(lines) + "\n")
    assert done.code == 0
    assert [document["query"] for document in done.documents] == lines
    assert [len(document["hits"]) for document in done.documents] == [2, 0, 0, 2, 0]


def test_the_answers_to_many_queries_are_told_apart_on_stdout(run, files):
    done = run("search", "-", "-k", 1, "-q", *files.flags, stdin="two dogs\nqwertz\na red kite\n")
    blocks = done.out.split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["> two dogs", "> qwertz", "> a red kite", ""]
    alone = run("search", "two dogs", "-k", 1, *files.flags)
    assert alone.out == blocks[0].removeprefix("> two dogs\n") + "\n"


def test_many_queries_that_all_find_nothing_exit_1(run, files):
    assert run("search", "-", "--jsonl", *files.flags, stdin="\nqwertz\n").code == 1
    assert run("search", "-", "--jsonl", *files.flags, stdin="").code == 1


def test_queries_may_hold_anything(run, files):
    lines = ["a \x1b[31mred\x1b[0m [bold]dog[/]", "שלום dog 🚲", "word " * 10_000]
    done = run("search", "-", "--jsonl", *files.flags, stdin="\n".join(lines).encode() + b"\n\xff\xfe dog")
    assert done.code == 0
    assert [document["query"] for document in done.documents[:3]] == lines
    assert done.documents[3]["query"] == "\ufffd\ufffd dog"


def test_a_line_without_end_is_refused_behind_the_queries_before_it(run, files, monkeypatch):
    monkeypatch.setattr("tui.commands.search._READ_BYTES", 100)
    monkeypatch.setattr("tui.commands.search._LONGEST_LINE", 10_000)
    done = run(
        "search", "-", "--jsonl", "-k", 1, *files.flags, stdin=b"a dog\n" + b"word " * 1900 + b"\n" + bytes(20_000)
    )
    assert done.code == 2
    assert len(done.documents) == 2
    assert "standard input: a line of it is longer than" in done.err


def test_an_answer_is_printed_before_the_next_query_is_read(files):
    with subprocess.Popen(
        command("search", "-", "--jsonl", "-k", 1, "-q", *files.flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for query, begun in (("a dog on the grass", "a bus"), (" in the city", "a k")):  # with a part of the next one
            process.stdin.write(f"{query}\n{begun}".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["query"].endswith(query)
        process.stdin.write(b"ite")
        process.stdin.close()
        assert json.loads(process.stdout.readline())["query"] == "a kite"
        assert process.wait(60) == 0


def test_plain_prints_one_record_per_line_with_control_characters_made_visible(run, files):
    table = files.folder / "captions.jsonl"
    captions = ["a dog\ton the \x1b[31mgrass", "a dog\x07 on the\x9b grass", "a\u202e dog on the grass"]
    table.write_text("".join(json.dumps({"caption": text, "image": "a\tb\x1b"}) + "\n" for text in captions))
    done = run("search", "a dog on the grass", "--plain", *replace(files, captions=table).flags)
    records = [line.split("\t") for line in done.out.removesuffix("\n").split("\n")]
    assert len(records) == 3
    for rank, (printed_rank, distance, row, image, caption) in enumerate(records, start=1):
        assert int(printed_rank) == rank
        assert 0 <= float(distance) <= 2
        assert 0 <= int(row) < 3
        assert image == "a␉b␛"
        assert caption.isprintable()
    assert {caption for *_, caption in records} == {
        "a dog␉on the ␛[31mgrass",
        "a dog␇ on the\\u009b grass",
        "a\\u202e dog on the grass",
    }
    shown = run("search", "a dog\x1b[2J on the grass", *replace(files, captions=table).flags)
    assert "\x1b" not in shown.out + shown.err


def test_no_name_of_a_file_controls_the_terminal(run, files):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\x9b"
    captions = files.folder / f"captions{evil}.txt"
    captions.write_text("a dog on the grass\na cat\n")
    weights = files.folder / f"weights{evil}2.pkl"
    weights.write_bytes(files.weights.read_bytes())
    flags = replace(files, captions=captions, weights=weights, cache=files.folder / f"cache{evil}").flags
    lines = files.folder / "lines.txt"
    lines.write_text("a dog\n")
    commands = [
        *(["encode"], ["search", "a dog"], ["compare", f"dog{evil}"], ["doctor"], ["paths"], ["cache", "list"]),
        *(["embed", lines, "-o", files.folder / f"rows{evil}.npy"], ["cache", "prune", "--dry-run"], ["calibrate"]),
        *(["search", "dog", "--captions", f"none{evil}.txt"], ["search", "dog", f"--{evil}"], ["doctor", "--deep"]),
        *(["search", "dog", "--vectors", captions], ["search", "dog", "--model", captions], [f"none{evil}"]),
        *(["embed", lines, "-o", f"rows{evil}.txt"], ["search", "dog", "--text-column", evil], ["trail", "show", evil]),
    ]
    for arguments in commands:
        done = run(*arguments, *flags)
        shown = (done.out + done.err).replace("\n", "").replace("\t", "").replace("\r", "")
        assert shown.isprintable(), (arguments, shown)
        assert "Traceback" not in shown


def test_plain_leaves_the_image_out_where_there_is_none(run, files):
    lines = files.folder / "lines.txt"
    lines.write_text("a dog on the grass\n")
    done = run("search", "dog", "--plain", *replace(files, captions=lines).flags)
    assert done.out.split("\t")[2:] == ["0", "", "a dog on the grass\n"]


def test_captions_can_come_from_standard_input(run, files):
    done = run("search", "dog", "--json", *replace(files, captions=Path("-")).flags, stdin="a dog\na cat\n")
    assert done.document["captions"] == "stdin"
    assert len(done.document["hits"]) == 2
    assert {hit["image_id"] for hit in done.document["hits"]} == {None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "TEXT"),
        (["search", "-", "--json"], "--jsonl"),
        (["search", "a", "--json", "--plain"], "choose one"),
        (["search", "a", "-k", "0"], "-k"),
        (["search", "-", "--captions", "-"], "standard input"),
        (["search", "a", "--device", "abacus"], "auto, cpu, cuda"),
        (["search", "a", "--device", "5"], "auto, cpu, cuda"),
        (["search", "a", "--vocab-size", "0"], "above 0"),
        (["search", "a", "--vocab-size", "many"], "above 0"),
        (["search", "a", "--model-version", "3"], "--model-version"),
        (["search", "a", "--dtype", "int8"], "--dtype"),
        (["search", "a", "--no-such-option"], "--no-such-option"),
        (["dance"], "'dance' is neither a file nor a command (cache, calibrate, compare"),
        (["search", "a", "--encoding", "hex"], "a name of a text encoding"),
        (["search", "a", "--encoding", "dance"], "a name of a text encoding"),
        (["search", "a", "--encoding", "undefined"], "a name of a text encoding"),
        (["search", "a", "--separator", ""], "at least one character"),
        (["search", "a", "--layout", "dance"], "lines"),
        (["completion", "tcsh"], "tcsh"),
        (["embed", "lines.txt"], "--output"),
    ],
)
def test_wrong_usage_exits_2_and_says_why(run, arguments, message):
    assert refused(run(*arguments), message)


def test_what_was_understood_of_the_captions_is_said_everywhere(run, files):
    captions = files.folder / "mine.txt"
    captions.write_text('image,caption\na.jpg,a dog runs\nb.jpg,\na.jpg,a man, a horse\na.jpg,"a cat\n')
    flags = replace(files, captions=captions).flags
    line = '4 captions of 2 images · comma-separated table, column caption, images by image · first: "a dog runs"'
    line += " · 1 empty · 1 with commas outside quotes (4) · 1 with an open quote, read line by line (5)\n"
    for arguments in (["search", "a dog"], ["compare", "a dog"], ["encode"]):
        assert line in run(*arguments, *flags).err
    corpus = {
        "rows": 4,
        "images": 2,
        "layout": "comma-separated table, column caption, images by image",
        "first": "a dog runs",
        "empty": 1,
        "broken_lines": [],
        "mended": ["1 with commas outside quotes (4)", "1 with an open quote, read line by line (5)"],
    }
    for arguments in (["search", "a dog"], ["compare", "a dog"], ["encode"]):
        assert run(*arguments, "--json", *flags).document["corpus"] == corpus
    assert corpus.items() <= run("doctor", "--json", *flags).document["captions"].items()
    assert "comma-separated table" in run("doctor", *flags).out


def test_an_empty_caption_is_not_called_one_without_a_known_word(run, files):
    captions = files.folder / "mine.txt"
    captions.write_text("a dog runs\n\nxyzzy plugh\n")
    done = run("search", "a dog", *replace(files, captions=captions).flags)
    assert "1 empty" in done.err
    assert "note: 1 caption has no known word" in done.err


def test_the_options_of_a_captions_file_are_obeyed(run, files):
    captions = files.folder / "mine.csv"
    captions.write_bytes("a man~a dog at a café~x.jpg\na horse~a beach~y.jpg\n".encode("cp1252"))
    options = ["--no-header", "--separator", "~", "--encoding", "cp1252", "--text-column", 1, "--text-column", 2]
    document = run("search", "a man", "--json", *options, *replace(files, captions=captions).flags).document
    assert document["corpus"]["rows"] == 4
    assert {hit["caption"] for hit in document["hits"]} == {"a man", "a dog at a café", "a horse", "a beach"}
    assert {hit["image_id"] for hit in document["hits"]} == {"x.jpg", "y.jpg"}


def test_a_tab_may_be_named_as_separator(run, files):
    captions = files.folder / "mine.dat"
    captions.write_text("a man\tthe beach\n")
    flags = ["--separator", "tab", "--text-column", 2, *replace(files, captions=captions).flags]
    assert run("search", "a man", "--plain", *flags).out.endswith("the beach\n")


@pytest.mark.parametrize("case", BAD)
def test_captions_that_cannot_be_used_exit_2_with_the_reason(run, files, case):
    name, content, message = BAD[case]
    bad = files.folder / "bad" / name
    bad.parent.mkdir()
    if content is not None:
        bad.write_bytes(content)
    done = run("search", QUERY, *replace(files, captions=bad).flags)
    assert refused(done, message)
    assert f"{bad}: " in done.err


def test_weights_that_cannot_be_used_exit_2_with_the_reason(run, files):
    bad = files.folder / "bad.pkl"
    flags = replace(files, weights=bad).flags
    for content, message in [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "an HTML or XML page"),
        (files.weights.read_bytes()[:1000], "damaged"),
        (b"not weights at all", "damaged"),
    ]:
        bad.write_bytes(content)
        assert refused(run("search", QUERY, "--quiet", *flags), message)


def test_vectors_that_do_not_fit_exit_2_with_the_reason(run, files):
    other = write_vectors(files.folder / "other.vec", ["<p>", "</p>", "dog"], dim=WORD_DIM + 1)
    assert refused(run("search", QUERY, "--quiet", *replace(files, vectors=other).flags), f"{WORD_DIM + 1} numbers")
    markless = write_vectors(files.folder / "markless.vec", ["dog", "cat"])
    done = run("search", QUERY, "--quiet", *replace(files, vectors=markless).flags)
    assert refused(done, "<p> </p>")
    assert "crawl-300d-2M.vec" in done.err


def test_what_lies_beside_the_encoder_in_the_weights_is_named(run, files):
    state = torch.load(files.weights, weights_only=True)
    torch.save(
        {f"encoder.{name}": value for name, value in state.items()} | {"classifier.bias": torch.ones(3)}, files.weights
    )
    note = "weights.pkl also holds classifier.bias, which is no part of the encoder"
    assert note in run("encode", *files.flags).err
    assert run("doctor", "--json", *files.flags).document["model"]["passed_over"] == ["classifier.bias"]


def test_the_vectors_in_an_archive_that_fit_the_weights_are_used(run, files):
    archive = files.folder / "vectors.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("small.txt", "the 1 2\n<p> 1 2\n</p> 1 2\n")
        file.write(files.vectors, "right.txt")
    flags = replace(files, vectors=archive).flags
    assert run("doctor", "--json", *flags).document["vectors"]["member"] == "right.txt"
    expected = run("search", QUERY, "--plain", *files.flags).out
    assert run("search", QUERY, "--plain", *flags).out == expected
    assert run("doctor", "--json", *flags).document["vectors"]["dim"] == WORD_DIM


def test_a_cache_that_cannot_be_written_exits_2_with_the_reason(run, files):
    blocked = files.folder / "blocked"
    blocked.write_text("a file, not a folder")
    assert refused(run("encode", "--quiet", *replace(files, cache=blocked).flags), "--cache-dir")


def test_a_reader_that_goes_away_is_no_error(files):
    with subprocess.Popen(
        command("search", "-", "--plain", "-q", *files.flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a dog on the grass\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        with process.stdin:
            process.stdin.write(b"a cat on the sofa\n" * 20)
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


# options


def test_options_may_stand_before_or_after_the_command(run, files):
    after = run("search", QUERY, "--plain", *files.flags)
    before = run(*files.flags, "search", QUERY, "--plain")
    assert after.code == 0
    assert before.out == after.out


def test_options_may_stand_before_between_or_after_a_command_of_two_words(run, files):
    run("encode", *files.flags)
    there = ("--cache-dir", files.cache)
    lists = [run(*words) for words in ((*there, "cache", "list"), ("cache", *there, "list"), ("cache", "list", *there))]
    assert {done.code for done in lists} == {0}
    assert len({done.out for done in lists}) == 1
    assert lists[0].out.count("\n") == 2


def test_a_flag_after_the_command_wins_over_the_one_before(run, files):
    other = write_coco(files.folder / "other.json", ["a dog", "a cat"])
    flags = replace(files, captions=other).flags
    assert run(*files.flags, "search", "dog", "--json", "--captions", other).document["captions"] == "other"
    assert run(*flags, "search", "dog", "--json", "--captions", files.captions).document["captions"] == "captions"


def test_every_common_option_is_read_from_the_environment(run, files, monkeypatch):
    for flag, value in zip(files.flags[::2], files.flags[1::2], strict=True):
        monkeypatch.setenv("INFERSENT_TUI_" + flag[2:].replace("-", "_").upper(), value)
    assert run("search", QUERY, "--json").document["captions"] == "captions"
    monkeypatch.setenv("INFERSENT_TUI_DTYPE", "int8")
    assert refused(run("search", QUERY), "int8")


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_flag_wins_over_the_environment(run, files, monkeypatch, place):
    other = write_coco(files.folder / "other.json", ["a dog", "a cat"])
    for flag, value in zip(files.flags[::2], files.flags[1::2], strict=True):
        monkeypatch.setenv("INFERSENT_TUI_" + flag[2:].replace("-", "_").upper(), value)
    named = ["--captions", other]
    arguments = [*named, "search", "dog", "--json"] if place == "before" else ["search", "dog", "--json", *named]
    assert run(*arguments).document["captions"] == "other"


def test_an_empty_variable_counts_as_none(run, files, monkeypatch):
    monkeypatch.setenv("INFERSENT_TUI_VOCAB_SIZE", "")
    assert run("search", QUERY, *files.flags).code == 0


def test_the_vocabulary_can_be_cut(run, files):
    tokens = run("search", "a man", "--json", "--vocab-size", 4, *files.flags).document["tokens"]
    assert not any(token["known"] for token in tokens[1:])
    whole = run("search", "a man", "--json", "--vocab-size", "all", *files.flags).document["tokens"]
    assert all(token["known"] for token in whole)


def test_a_data_folder_is_searched_for_the_official_names(run, files):
    deep = files.folder / "data" / "a" / "b"
    deep.mkdir(parents=True)
    files.weights.rename(deep / "infersent2.pkl")
    files.vectors.rename(deep / "crawl-300d-2M.vec")
    files.captions.rename(deep / "captions_val2014.json")
    document = run("paths", "--data-dir", files.folder / "data", "--cache-dir", files.cache, "--json").document
    assert document == {
        "model": str(deep / "infersent2.pkl"),
        "vectors": str(deep / "crawl-300d-2M.vec"),
        "embeddings": None,
        "captions": str(deep / "captions_val2014.json"),
        "against": None,
        "cache": str(files.cache),
    }


# the other commands


def test_encode_prints_its_document_and_the_second_run_reuses_the_matrix(run, files):
    first = run("encode", "--json", *files.flags)
    assert first.code == 0
    keys = {"rows", "dim", "seconds", "sentences_per_second", "path", "reused", "resumed_rows", "corpus"}
    assert set(first.document) == keys
    assert (first.document["rows"], first.document["dim"]) == (300, 32)
    assert (first.document["reused"], first.document["resumed_rows"]) == (False, 0)
    assert first.document["seconds"] >= 0
    matrix = Path(first.document["path"]) / "embeddings.npy"
    before = matrix.stat()
    second = run("encode", "--json", *files.flags).document
    assert set(second) == keys
    assert second["reused"] is True
    assert second["path"] == first.document["path"]
    after = matrix.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "encoded before" in run("encode", *files.flags).out


def test_changed_captions_are_encoded_anew_beside_the_old_ones(run, files):
    first = run("encode", "--json", *files.flags).document
    write_coco(files.captions, demo_texts(200))
    second = run("encode", "--json", *files.flags).document
    assert (second["reused"], second["rows"]) == (False, 200)
    assert Path(first["path"], "embeddings.npy").exists()


def test_embed_writes_one_row_per_line_equal_to_the_reference_lstm(run, files):
    plain = [text for text in demo_texts(300) if re.fullmatch(r"[A-Za-z ]+\.", text)]
    lines = [text.removesuffix(".") + " ." for text in plain[:40]]
    lines[3] = lines[20] = ""
    lines[5] = "qwertz"
    lines[7] = lines[6]
    text, out = files.folder / "lines.txt", files.folder / "out.npy"
    text.write_text("\n".join(lines) + "\n")
    done = run("embed", text, "-o", out, *files.flags)
    assert (done.code, done.out) == (0, "")
    assert "40 x 32" in done.err
    embeddings = np.load(out)
    assert (embeddings.shape, embeddings.dtype) == ((40, 32), np.float32)
    np.testing.assert_allclose(embeddings, _reference(files, lines), atol=1e-5)
    assert (embeddings[3] == embeddings[20]).all()
    assert (embeddings[3] == embeddings[5]).all(), "without a known word, the embedding of the sentence marks alone"
    assert (embeddings[6] == embeddings[7]).all()
    assert sorted(path.name for path in files.folder.glob("out*")) == ["out.npy"], "no unfinished file is left"


def test_embed_reads_standard_input(run, files):
    out = files.folder / "out.npy"
    assert run("embed", "-", "-o", out, "--quiet", *files.flags, stdin="a dog\n\n\na cat\n") == Outcome(0, "", "")
    assert np.load(out).shape == (4, 32)


def test_embed_refuses_what_it_cannot_read_or_write(run, files):
    lines, out = files.folder / "lines.txt", files.folder / "out.npy"
    assert refused(run("embed", lines, "-o", out, *files.flags), "no such file")
    lines.write_text("")
    assert refused(run("embed", lines, "-o", out, *files.flags), "is empty")
    lines.write_text("a dog\n")
    assert refused(
        run("embed", lines, "-o", files.folder / "nowhere" / "out.npy", "-q", *files.flags), "a folder that exists"
    )
    assert refused(run("embed", lines, "-o", lines, "-q", *files.flags), "expected: one of .npy")
    before = files.weights.read_bytes()
    link = files.folder / "link.npy"
    link.symlink_to(files.weights)
    assert refused(run("embed", lines, "-o", link, "-q", *files.flags), "is a file that is read")
    assert files.weights.read_bytes() == before
    assert lines.read_text() == "a dog\n"
    assert not out.exists()


@pytest.mark.parametrize("option", ["captions", "model", "vectors", "embeddings", "against", "against-vectors"])
def test_a_pipe_in_place_of_a_file_is_answered_with_what_can_be_done(files, option):
    flags = list(files.flags) + (["--against", files.weights] if option == "against-vectors" else [])
    script = f'exec "$@" --{option} <(echo "a dog runs")'
    process = ["bash", "-c", script, "bash", *command("search", "dog", *flags)]
    done = subprocess.run(process, capture_output=True, text=True, check=False, env=environment(), timeout=120)
    assert done.returncode == 2
    assert "is not a plain file" in done.stderr
    assert ("| infersent-tui encode --captions -" in done.stderr) == (option == "captions")
    assert ("write it to a file" in done.stderr) == (option != "captions")


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_a_pipe_or_device_is_refused_in_each_place_that_names_captions(run, files, name):
    path = files.folder / name
    os.mkfifo(path) if name == "pipe" else path.symlink_to("/dev/null")
    flags = replace(files, captions=path).flags
    for arguments in (["search", "dog"], ["encode"], ["compare", "dog"], ["paths"]):
        assert refused(run(*arguments, *flags), "| infersent-tui encode --captions -")
    assert "--captions -" in str(run("doctor", "--json", *flags).document["problems"])


def test_embed_reads_a_pipe(run, files):
    pipe, out = files.folder / "texts", files.folder / "out.npy"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=["a dog\na cat\n"])
    writer.start()
    assert run("embed", pipe, "-o", out, *files.flags).code == 0
    writer.join(10)
    assert np.load(out).shape == (2, 32)


def test_a_failed_embed_leaves_the_old_file_as_it_was(run, files):
    lines, out = files.folder / "lines.txt", files.folder / "out.npy"
    out.write_bytes(b"precious")
    lines.write_bytes(b"\xff\xfa\n")
    assert refused(run("embed", lines, "-o", out, *files.flags), "not UTF-8")
    assert out.read_bytes() == b"precious"


def test_doctor_deep_finds_a_flipped_bit_and_the_next_run_mends_it(run, files):
    run("encode", *files.flags)
    (path,) = files.cache.glob("matrix/*/embeddings.npy")
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert run("doctor", *files.flags).code == 0, "it does not read everything"
    deep = run("doctor", "--deep", "--json", *files.flags)
    assert (deep.code, deep.document["ok"]) == (2, False)
    assert "embeddings.npy damaged; the next start makes it again" in deep.document["problems"][0]
    assert deep.document["matrix"]["state"] == "damaged: the next start encodes it again"
    run("encode", *files.flags)
    assert path.read_bytes() == before
    assert run("doctor", "--deep", *files.flags).code == 0


def test_a_damaged_calibration_is_found_and_told_until_it_is_measured_again(run, files, few_sources):
    run("calibrate", *files.flags)
    (path,) = files.cache.glob("matrix/*/calibration-*.json")
    assert "damaged" not in run("search", "dog", *files.flags).err
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"hubs"', b'"hubz"'))
    deep = run("doctor", "--deep", "--json", *files.flags)
    assert (deep.code, deep.document["ok"]) == (2, False)
    (problem,) = deep.document["problems"]
    assert f"{path.name} damaged; it is measured again by `infersent-tui calibrate`" in problem
    asked = run("search", "dog", *files.flags)
    assert asked.err.count("the calibration of these captions is damaged and not used") == 1
    assert "damaged" not in run("calibrate", *files.flags).err
    assert path.read_bytes() == before
    assert run("doctor", "--deep", *files.flags).code == 0


def test_doctor_json_says_what_is_in_use(run, files):
    done = run("doctor", "--json", *files.flags)
    assert done.code == 0
    document = done.document
    assert set(document) == {
        *("ok", "problems", "model", "vectors", "captions", "matrix", "device", "dtype", "tokenizer"),
        *("config", "cache", "versions", "compiled_steps"),
    }
    assert document["ok"] is True
    assert document["compiled_steps"] is True
    assert document["problems"] == []
    assert document["model"]["path"] == str(files.weights)
    assert (document["model"]["version"], document["model"]["dim"], document["model"]["word_dim"]) == (2, 32, 12)
    assert document["vectors"]["path"] == str(files.vectors)
    assert (document["vectors"]["dim"], document["vectors"]["state"]) == (12, "not converted yet")
    assert document["captions"]["path"] == str(files.captions)
    assert (document["captions"]["rows"], document["captions"]["images"]) == (300, 60)
    assert document["matrix"]["state"] == "not encoded yet"
    assert document["cache"]["path"] == str(files.cache)
    assert document["cache"]["bytes"] > 0
    assert "punkt" in document["tokenizer"]
    assert {"infersent-tui", "python", "torch", "textual"} <= set(document["versions"])
    assert not list(files.cache.glob("vectors/*"))  # the vectors may take gigabytes, and the disk may be full
    run("encode", *files.flags)
    document = run("doctor", "--json", *files.flags).document
    vectors = document["vectors"]
    assert (vectors["dim"], vectors["broken_lines"], vectors["state"]) == (12, 0, "converted")
    matrix = document["matrix"]
    assert matrix["state"] == "whole"
    (Path(matrix["path"]) / "embeddings.npy").write_bytes(b"noise")
    assert "damaged" in run("doctor", "--json", *files.flags).document["matrix"]["state"]


def test_doctor_runs_in_a_checkout_that_is_not_installed(run, files, monkeypatch):
    def of_installed(package: str) -> str:
        if package == "infersent-tui":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("tui.doctor.version", of_installed)
    versions = run("doctor", "--json", *files.flags).document["versions"]
    assert versions["infersent-tui"] == "not installed"
    assert versions["torch"] == version("torch")


def test_doctor_says_what_is_wrong_and_exits_2(run, files):
    other = write_vectors(files.folder / "other.vec", ["<p>", "</p>", "dog"], dim=WORD_DIM + 1)
    flags = replace(files, vectors=other).flags
    done = run("doctor", "--json", *flags)
    assert done.code == 2
    assert done.document["ok"] is False
    assert f"{WORD_DIM + 1} numbers" in done.document["problems"][0]
    lines = run("doctor", *flags)
    assert lines.code == 2
    assert f"{WORD_DIM + 1} numbers" in lines.out
    gone = run("doctor", "--json", "--captions", "nowhere.json", "--cache-dir", files.cache)
    assert gone.code == 2
    assert "no such file" in gone.document["problems"][0]


def test_doctor_counts_broken_lines(run, files):
    with files.vectors.open("a") as file:
        file.write("broken 1.0 2.0\n")
    run("encode", *files.flags)
    assert run("doctor", "--json", *files.flags).document["vectors"]["broken_lines"] == 1


def test_paths_prints_the_paths_in_use(run, files):
    done = run("paths", *files.flags)
    assert done.code == 0
    assert dict(line.split("\t") for line in done.out.splitlines()) == {
        "model": str(files.weights),
        "vectors": str(files.vectors),
        "captions": str(files.captions),
        "cache": str(files.cache),
    }


def test_a_path_that_is_not_utf8_is_printed(files):
    odd = os.fsencode(files.folder) + b"/\xff"
    done = subprocess.run(
        [*command("paths", "--cache-dir"), odd],
        capture_output=True,
        env=environment(PYTHONIOENCODING="utf-8:strict"),
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[-1].startswith(b"cache\t")


def test_any_caption_can_be_printed_whatever_the_terminals_encoding(files):
    lines = files.folder / "lines.txt"
    lines.write_text("a dog 🚲 שלום\n")
    done = subprocess.run(
        command("search", "dog", "-q", *replace(files, captions=lines).flags),
        capture_output=True,
        env=environment(PYTHONIOENCODING="latin-1:strict"),
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"a dog \\U0001f6b2" in done.stdout


def test_cache_list_shows_every_entry(run, files):
    assert run("cache", "list", "--json", "--cache-dir", files.cache).document == []
    run("encode", *files.flags)
    entries = run("cache", "list", "--json", "--cache-dir", files.cache).document
    assert [entry["kind"] for entry in entries] == ["matrix", "vectors"]
    for entry in entries:
        assert set(entry) == {"kind", "key", "bytes", "whole", "about", "path"}
        assert Path(entry["path"]).is_dir()
        assert entry["whole"] is True
        assert entry["bytes"] > 0
    lines = run("cache", "list", "--cache-dir", files.cache).out.splitlines()
    assert [line.split()[0] for line in lines] == ["matrix", "vectors"]
    assert entries[0]["key"][:12] in lines[0]


def test_prune_deletes_what_is_not_in_use_and_keeps_the_rest(run, files):
    old = Path(run("encode", "--json", *files.flags).document["path"])
    write_coco(files.captions, demo_texts(100))
    new = Path(run("encode", "--json", *files.flags).document["path"])
    dry = run("cache", "prune", "--dry-run", *files.flags)
    assert dry.code == 0
    assert old.name[:12] in dry.out
    assert new.name[:12] not in dry.out
    assert old.is_dir(), "a dry run deletes nothing"
    done = run("cache", "prune", "--yes", *files.flags)
    assert "deleted 1" in done.out
    assert not old.exists()
    assert new.is_dir()
    assert run("encode", "--json", *files.flags).document["reused"] is True
    assert "nothing to delete" in run("cache", "prune", "--yes", *files.flags).out


def test_prune_converts_nothing_and_loads_no_weights(run, files):
    run("encode", *files.flags)
    changed = files.vectors.with_name("others.vec")
    changed.write_text(files.vectors.read_text() + "more" + " 0.5" * WORD_DIM + "\n")
    files.weights.write_bytes(b"no weights at all")
    done = run("cache", "prune", "--yes", *replace(files, vectors=changed).flags)
    assert done.code == 0
    assert "deleted 2" in done.out
    assert not list(files.cache.glob("vectors/*/"))


def test_prune_keeps_everything_when_the_files_in_use_cannot_be_read(run, files):
    matrix = Path(run("encode", "--json", *files.flags).document["path"])
    files.captions.write_text("")
    assert refused(run("cache", "prune", "--yes", *files.flags), "is empty")
    assert matrix.is_dir()


def test_version_prints_the_version(run):
    done = run("--version")
    assert done.code == 0
    assert done.out.startswith("infersent-tui")


def test_help_names_every_command(run):
    done = run("--help")
    assert done.code == 0
    for name in ("encode", "search", "embed", "doctor", "paths", "cache", "completion"):
        assert name in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(run, shell):
    done = run("completion", shell)
    assert done.code == 0
    assert f"_INFERSENT_TUI_COMPLETE={shell}_complete" in done.out


def test_completion_completes(run, monkeypatch):
    monkeypatch.setenv("_INFERSENT_TUI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "infersent-tui se")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run().out == "plain,search\nfile,se\n"


def test_nothing_is_coloured(run, files, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (["search", QUERY], ["doctor"], ["encode"], ["cache", "list"]):
        done = run(*arguments, *files.flags)
        assert "\x1b" not in done.out + done.err


# without a terminal, and interrupted


@pytest.mark.parametrize(
    "arguments",
    [
        ["x" * 300],
        ["doctor", "--data-dir", "x" * 300],
        ["cache", "list", "--cache-dir", "x" * 300],
        ["search", "a", "--model", "x" * 300],
    ],
    ids=["file", "data", "cache", "model"],
)
def test_a_name_that_is_too_long_is_refused(run, arguments):
    outcome = run(*arguments)
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)
    assert "name too long" in outcome.err.lower()


@pytest.mark.parametrize("arguments", [["paths"], ["completion", "bash"], ["--version"]])
def test_a_full_disk_behind_stdout_is_an_error(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_full_disk_behind_stderr_loses_the_messages_only(files):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("encode", "--json", *files.flags),
            stdout=subprocess.PIPE,
            stderr=full,
            env=environment(),
            check=False,
        )
    assert done.returncode == 0
    assert json.loads(done.stdout)["rows"] == 300


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        ("2>&-", ["search", "a dog"]),
        ("1>&-", ["search", "a dog"]),
        ("0<&-", ["search", "-"]),
        ("0<&- 1>&- 2>&-", ["encode"]),
        ("2>&-", ["doctor", "--json"]),
    ],
)
def test_a_closed_stream_only_loses_what_it_would_have_carried(files, closed, arguments):
    explorer = files.explorer()
    explorer.opened.cache.close()
    (matrix,) = files.cache.glob("matrix/*/embeddings.npy")
    before = matrix.read_bytes()
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command(*arguments, *files.flags)]
    done = subprocess.run(shell, input="a dog\n", capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == (1 if arguments == ["search", "-"] and closed.startswith("0") else 0), done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == ("1>" not in closed and not done.returncode)
    assert matrix.read_bytes() == before


def test_a_fault_of_the_program_has_its_own_exit_code_and_no_control_character():
    program = """
import tui.cli, tui.__main__
def main():
    raise TypeError("of a file: \\x1b]0;PWNED\\x07 \\x9b31m")
tui.cli.main = main
tui.__main__.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 70
    assert "TypeError: of a file: ␛]0;PWNED␇ \\u009b31m" in done.stderr
    assert "please report" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), "standard input, output and error are none"),
        (("stderr",), "standard input and output are none"),
        (("stdin", "stdout"), "standard error is none"),
    ],
)
def test_the_screen_is_refused_without_a_terminal(run, files, monkeypatch, others, said):
    from tui.commands import explore

    streams = {name: SimpleNamespace(isatty=lambda: True) for name in others}
    monkeypatch.setattr(explore, "sys", SimpleNamespace(**{"stdin": None, "stdout": None, "stderr": None} | streams))
    assert refused(run(*files.flags), f"the explorer needs a terminal, and {said};")


def test_a_terminal_that_cannot_draw_is_refused_without_an_escape_code(files):
    primary, secondary = pty.openpty()
    done = subprocess.run(
        command(*files.flags),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment() | {"TERM": "dumb"},
        timeout=300,
        check=False,
    )
    os.close(secondary)
    written = os.read(primary, 1 << 16)
    os.close(primary)
    assert done.returncode == 2
    assert b"TERM is dumb" in written
    assert b"\x1b" not in written


def test_a_file_in_place_of_a_command_needs_a_terminal_too(run, files):
    assert refused(run(files.captions), "needs a terminal")
    assert refused(run(files.captions, "--captions", files.captions), "named twice")


def test_doctor_looks_at_a_file_of_captions_named_without_an_option(run, files):
    captions = files.folder / "mine.txt"
    captions.write_text("a kite\na boat\n")
    flags = files.flags
    at = flags.index("--captions")
    others = flags[:at] + flags[at + 2 :]
    assert run("doctor", captions, "--json", *others).document["captions"]["rows"] == 2
    assert refused(run("doctor", captions, *flags), "named twice")


def test_a_command_wins_over_a_file_of_its_name(run, files, monkeypatch):
    monkeypatch.chdir(files.folder)
    Path("paths").write_text("a dog\n")
    assert "model" in run("paths", *files.flags).out
    assert refused(run("./paths"), "needs a terminal")


def test_the_screen_is_refused_when_only_stdout_is_no_terminal(files):
    primary, secondary = pty.openpty()
    try:
        done = subprocess.run(
            command(*files.flags),
            stdin=secondary,
            capture_output=True,
            env=environment(),
            timeout=300,
            check=False,
        )
    finally:
        os.close(primary)
        os.close(secondary)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"needs a terminal" in done.stderr


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Files:
    """12,000 distinct captions, which make three chunks, and an encoder that needs some seconds for them."""
    folder = tmp_path_factory.mktemp("many")
    words = [
        "red blue green small large old young wet dry tall quiet happy".split(),
        "dog cat horse bird boat bus man woman child kite".split(),
        "runs sits waits sleeps stands turns falls plays rests moves".split(),
        "near under behind above beside".split(),
        "trees water houses".split(),
    ]
    texts = [f"a {a} {b} {c} {d} the {e} ." for a, b, c, d, e in itertools.product(*words)][:12_000]
    captions = folder / "captions.txt"
    captions.write_text("".join(text + "\n" for text in texts))
    vectors = write_vectors(folder / "vectors.vec", ["<p>", "</p>", ".", "a", "the", *itertools.chain(*words)])
    weights = write_weights(folder / "weights.pkl", hidden=256)
    return Files(folder, weights, vectors, captions, folder / "cache")


def _start_encoding(many: Files, cache: Path) -> subprocess.Popen[bytes]:
    """Start to encode in another process; return when the first chunk is done."""
    flags = [*replace(many, cache=cache).flags, "--dtype", "float32", "--device", "cpu"]
    process = subprocess.Popen(
        command("encode", "--json", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here; background jobs ignore it
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        for progress in cache.glob("matrix/*/progress.json"):
            if json.loads(progress.read_text())["chunks"]:
                return process
        time.sleep(0.005)
    process.kill()
    pytest.fail(f"encoding never reached its second chunk: {process.communicate()}")


def _encode(many: Files, cache: Path) -> dict:
    flags = [*replace(many, cache=cache).flags, "--dtype", "float32", "--device", "cpu"]
    done = subprocess.run(
        command("encode", "--json", "-q", *flags), capture_output=True, env=environment(), timeout=300, check=True
    )
    return json.loads(done.stdout)


def test_encoding_killed_midway_goes_on_and_ends_with_the_same_bits(many, tmp_path):
    for attempt in range(2):
        process = _start_encoding(many, tmp_path / "killed")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = list((tmp_path / "killed").glob("matrix/*/progress.json"))
        assert left, f"run {attempt} was killed too late"
    resumed, whole = _encode(many, tmp_path / "killed"), _encode(many, tmp_path / "whole")
    assert resumed["resumed_rows"] > 0
    assert resumed["reused"] is False
    assert whole["resumed_rows"] == 0
    assert resumed["rows"] == whole["rows"] == 12_000
    for name in ("embeddings.npy", "norms.npy"):
        assert Path(resumed["path"], name).read_bytes() == Path(whole["path"], name).read_bytes()


def test_ctrl_c_exits_130_without_a_traceback_and_keeps_what_is_done(many, tmp_path):
    process = _start_encoding(many, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    document = _encode(many, tmp_path)
    assert document["resumed_rows"] > 0


def _reference(files: Files, lines: list[str]) -> np.ndarray:
    """Encode one sentence at a time with torch's LSTM and the maximum over time."""
    weights = torch.load(files.weights, weights_only=True)
    state = {key.removeprefix("enc_lstm."): value for key, value in weights.items()}
    hidden, dim = state["weight_ih_l0"].shape[0] // 4, state["weight_ih_l0"].shape[1]
    lstm = torch.nn.LSTM(dim, hidden, bidirectional=True)
    lstm.load_state_dict(state)
    vectors = {}
    for line in files.vectors.read_text().splitlines()[1:]:
        word, *numbers = line.split()
        vectors[word] = [float(number) for number in numbers]
    rows = []
    for line in lines:
        words = [word for word in ["<p>", *line.split(), "</p>"] if word in vectors]
        with torch.no_grad():
            states, _ = lstm(torch.tensor([vectors[word] for word in words])[:, None])
        rows.append(states[:, 0].max(dim=0).values.numpy())
    return np.stack(rows)


def test_stress_prints_how_far_changes_move_a_text(run, files):
    text = "a dog is sitting on a red couch"
    document = run("stress", text, "--json", *files.flags).document
    assert document.keys() == {"query", "threshold", "variations"}
    assert document["query"] == text
    keys = {"kind", "text", "distance", "unseen", "overlap_at_10"}
    assert all(each.keys() == keys for each in document["variations"])
    by_kind = {each["kind"]: each["text"] for each in document["variations"]}
    assert by_kind["negation"] == "a dog is not sitting on a red couch"
    printed = run("stress", text, *files.flags)
    assert "a dog is[ not] sitting on a red couch" in printed.out
    assert "only" in run("stress", "dog", *files.flags).err
    assert run("stress", "qwertz", *files.flags).code == 1
    assert refused(run("stress", "a dog - a cat", *files.flags), "put it in quotes")
    assert refused(run("stress", "a dog " * 101, *files.flags), "more than 200 words")
    assert run("stress", '"a dog - a cat"', *files.flags).code == 0


def test_stress_of_a_corpus_has_figures_for_each_kind_and_method(run, files):
    document = run("stress", "--json", *files.flags).document
    assert document.keys() == {"captions", "threshold", "kinds"}
    assert document["captions"] == 300
    assert tuple(document["kinds"]) == KINDS
    for kind, figures in document["kinds"].items():
        assert figures["applies"] == 0 or figures.keys() == {"applies", *METHODS}, kind
    shuffled = document["kinds"]["shuffle"]["bm25"]
    assert (shuffled["unseen"], shuffled["median_distance"]) == (1.0, None)
    assert shuffled["overlap_at_10"] > 9, "all that there are"
    assert document["kinds"]["noun"]["fused"]["unseen"] is None
    printed = run("stress", *files.flags).out
    assert [line.split()[0] for line in printed.splitlines()[2:]] == [
        kind for kind, figures in document["kinds"].items() if figures["applies"]
    ]


@pytest.mark.parametrize("command", [["encode", "--json"], ["doctor", "--json"], ["compare", "--json"]])
def test_commands_name_both_encoders(run, files: Files, command):
    other = write_weights(files.folder / "other.pkl", hidden=8, seed=5)
    result = run(*files.flags, "--against", str(other), *command)
    assert result.code == 0, result.err
    document = result.document
    if command[0] == "encode":
        assert document["against"]["dim"] == 16
        assert document["against"]["path"] != document["path"]
    elif command[0] == "doctor":
        assert document["against"]["model"]["path"] == str(other)
        assert document["against"]["matrix"]["state"] == "not encoded yet"
    else:
        assert len(document["least"]) == 10
        assert document["captions"] == 300


def test_prune_keeps_what_both_encoders_need(run, files: Files):
    other = write_weights(files.folder / "other.pkl", hidden=8, seed=5)
    assert run(*files.flags, "--against", str(other), "encode").code == 0
    assert "nothing to delete" in run(*files.flags, "--against", str(other), "cache", "prune", "--yes").out
    assert "deleted 1" in run(*files.flags, "cache", "prune", "--yes").out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["search", "--method", "against", "a dog"], "--against MODEL"),
        (["compare"], "TEXT is missing"),
        (["--against", "missing.pkl", "encode"], "no such file"),
        (["--against-vectors", "{vectors}", "encode"], "name it too, with --against"),
    ],
)
def test_what_is_missing_is_named(run, files: Files, flags, said):
    result = run(*files.flags, *(flag.format(vectors=files.vectors) for flag in flags))
    assert refused(result, said)


def test_stress_by_the_second_encoder_needs_no_first(run, files):
    embeddings = files.folder / "given.npy"
    np.save(embeddings, np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    captions = ("--captions", files.captions, "--embeddings", embeddings, "--cache-dir", files.cache)
    second = ("--against", files.weights, "--against-vectors", files.vectors)
    asked = ("stress", "a dog is sitting on a red couch", "--json")
    assert run(*asked, "--method", "against", *captions, *second).document["variations"]
    assert refused(run(*asked, *captions, *second), "without the encoder")


def test_encoders_that_know_no_common_caption_are_not_compared(run, files):
    vectors = write_vectors(files.folder / "few.vec", ["<p>", "</p>", "qwertz"], seed=3)
    other = write_weights(files.folder / "other.pkl", hidden=8, seed=5)
    outcome = run("compare", *files.flags, "--against", other, "--against-vectors", vectors, "--json")
    assert refused(outcome, "knows no caption that the first encoder knows")
