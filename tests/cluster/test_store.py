"""A store answers as the same corpus in memory does."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Files, demo_texts, make_files, refused, write_weights

from cluster.conftest import explore, store_of
from core.assets import AssetError
from core.cluster.connection import Connection
from core.cluster.schema import Approximation
from core.cluster.sources import Source, of_matrix, open_source
from core.cluster.writing import write_store
from core.explorer import Explorer
from core.opening import locate
from core.ranking.filters import Filter, FilterError
from core.store.cache import Cache
from core.store.progress import finish

pytestmark = pytest.mark.usefixtures("small_sample")


def rows_of(explorer: Explorer, text: str, **how: object) -> list[int]:
    return explorer.ask(text, **how).hits.rows.tolist()


@pytest.mark.parametrize("text", ["a dog", "a woman rides a horse on the beach", "a dog - a cat + a horse", "#3"])
def test_a_typed_query_finds_the_same_captions_at_the_same_distances(local, stored, text):
    expected, found = local.ask(text).hits, stored.ask(text).hits
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-12)
    assert found.rows.tolist() == expected.rows.tolist()


def test_a_caption_is_its_own_first_hit_at_distance_0(local, stored):
    for row in (0, 17, 299):
        answer = stored.complete(stored.neighbours(row))
        assert answer.hits.rows[0] == row
        assert answer.hits.distances[0] == 0
        assert answer.hits.rows.tolist() == local.neighbours(row).hits.rows.tolist()
        typed = stored.ask(local.opened.captions.texts[row])
        assert typed.query.row is not None
        assert typed.hits.distances[0] == 0


def test_what_is_shown_of_a_caption_is_what_its_file_says(local, stored):
    known, captions = local.opened.captions, stored.opened.captions
    for row in (0, 150, 299):
        assert captions.texts[row] == known.texts[row]
        for name in ("id", "group", "file_name", "url"):
            assert getattr(captions, name)(row) == getattr(known, name)(row)
    assert (len(captions), captions.images) == (len(known), known.images)


def test_captions_without_a_known_word_are_left_out_and_others_keep_their_rows(tmp_path):
    texts = demo_texts(60)
    texts[3:3] = ["bicycle", ""]
    files = make_files(tmp_path, texts)
    local = files.explorer()
    stored = explore(files, store_of(local.opened, tmp_path / "store"))
    assert len(stored.opened.captions) == 60
    assert rows_of(stored, texts[20]) == rows_of(local, texts[20])
    assert "1 empty · 2 without a known word left out" in stored.opened.captions.understood()


def test_more_hits_follow_the_leading_ones(local, stored):
    found = stored.ask("a dog on a beach").found
    ranking, expected = found.order(), local.ask("a dog on a beach").found.order()
    assert ranking.rows[:100].tolist() == expected.rows[:100].tolist()
    assert len(ranking) == len(expected)
    assert (np.diff(ranking.distances) >= 0).all()
    np.testing.assert_allclose(ranking.distances, expected.distances, atol=1e-4)  # of so few features, Lance's float16


@pytest.mark.parametrize(
    "text",
    ["dog", "-dog", '"on a"', "/d.g|beach/", "length<8", "length:9", "-length>=9", "image:2", "id<100", "dog -on"],
)
def test_a_filter_lets_through_the_same_captions(local, stored, text):
    among = Filter.parse(text)
    expected, found = local.ask("a dog on a beach", among=among), stored.ask("a dog on a beach", among=among)
    assert found.hits.rows.tolist() == expected.hits.rows.tolist()
    assert found.searched == expected.searched


def test_a_filter_by_bookmarks_is_one_by_rows(stored):
    among = Filter.parse("is:bookmarked").with_bookmarks([5, 250])
    assert sorted(rows_of(stored, "a dog", among=among)) == [5, 250]
    assert rows_of(stored, "a dog", among=Filter.parse("is:bookmarked")) == []


@pytest.mark.parametrize("text", ["region:1", "nosuch:1", "/(?=a)/"])
def test_what_a_store_cannot_filter_by_is_an_error_of_the_filter(stored, text):
    with pytest.raises(FilterError):
        stored.ask("a dog", among=Filter.parse(text))


def test_random_captions_are_drawn_from_all_and_from_those_that_are_allowed(stored):
    rng = random.Random(0)
    drawn = {stored.random_row(rng) for _ in range(60)}
    assert len(drawn) > 40
    among = Filter.parse("dog")
    texts = [stored.opened.captions.texts[stored.random_row(rng, among=among)] for _ in range(10)]
    assert all("dog" in text.lower() for text in texts)
    with pytest.raises(AssetError, match="no caption meets the filter"):
        stored.random_row(rng, among=Filter.parse("xyzzy"))


def test_the_verdict_is_near_that_of_the_corpus_in_memory(local, stored, few_sources):
    for explorer in (local, stored):
        finish(explorer.opened.calibrate())
    assert stored.opened.calibration.captions < 200
    for text in ("a dog on a beach", "a woman", "doctor", "the parliament passed a law on taxes yesterday"):
        expected, found = local.ask(text).verdict, stored.ask(text).verdict
        assert (found.level is None) == (expected.level is None)
        assert found.confirmed == expected.confirmed
    again = explore_again(stored)
    finish(again.opened.open_calibration())
    assert again.ask("a dog on a beach").verdict == stored.ask("a dog on a beach").verdict


def explore_again(stored: Explorer) -> Explorer:
    opened = stored.opened
    from core.cluster.opening import open_store

    return Explorer(finish(open_store(opened.setup, opened.cache, opened.place, how=Approximation(), is_exact=True)))


def test_a_hub_is_named_by_its_row_in_the_store(stored, few_sources, monkeypatch):
    monkeypatch.setattr("core.trust.probing._HUB_LEAST", 0)
    finish(stored.opened.calibrate())
    assert set(stored.opened.calibration.hubs.tolist()) <= set(stored.opened.sample.rows.tolist())


def test_an_approximate_search_says_how_many_of_the_nearest_it_finds(local, files, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cluster.writing.APPROXIMATE_FROM", 100)
    store = store_of(local.opened, tmp_path / "store")
    recall = Connection(store).finished().recall[str(Approximation())]
    assert 0.9 < recall <= 1
    approximate, exact = explore(files, store, is_exact=False), explore(files, store)
    assert f"recall@10 {recall:.3f}" in approximate.opened.captions_name
    assert "exact" in exact.opened.captions_name
    expected = rows_of(exact, "a dog on a beach")[:10]
    assert len(set(rows_of(approximate, "a dog on a beach")[:10]) & set(expected)) >= 8


def test_a_finished_store_is_left_as_it_is_and_another_corpus_does_not_replace_it(local, files, store, tmp_path, run):
    before = Connection(store).finished()
    assert finish_index(local, store) == before
    other = (
        make_files(tmp_path / "other_files", demo_texts(90)) if (tmp_path / "other_files").mkdir() is None else files
    )
    with pytest.raises(AssetError, match="holds a store of captions"):
        finish_index(other.explorer(), store)


def finish_index(explorer: Explorer, store: str):
    return finish(write_store(of_matrix(explorer.opened), Connection(store)))


def test_an_interrupted_index_goes_on_and_until_then_the_store_is_unfinished(local, files, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cluster.writing._BLOCK", 50)
    store = str(tmp_path / "store")
    steps = write_store(of_matrix(local.opened), Connection(store, must_exist=False))
    for step in steps:
        if step.stage == "writing the store" and step.done >= 150:
            break
    steps.close()
    with pytest.raises(AssetError, match="holds a store that was not finished"):
        explore(files, store)
    done = [
        step.done
        for step in write_store(of_matrix(local.opened), Connection(store))
        if step.stage == "writing the store"
    ]
    assert done[0] == 200
    assert rows_of(explore(files, store), "a dog") == rows_of(local, "a dog")


def test_a_store_of_another_encoder_is_refused(files, store):
    write_weights(files.weights, seed=1)
    with pytest.raises(AssetError, match="made by another encoder than weights: its weights differ") as refusal:
        explore(files, store)
    assert "--model" in refusal.value.advice


def test_a_store_needs_no_captions_file(files, store, tmp_path, stored):
    setup = replace(files.setup(), assets=replace(files.setup().assets, captions=tmp_path / "gone.json"))
    from core.cluster.opening import open_store

    opened = finish(open_store(setup, Cache(files.cache), store, how=Approximation(), is_exact=True))
    assert rows_of(Explorer(opened), "a dog") == rows_of(stored, "a dog")


def test_a_folder_without_a_store_is_refused_and_none_is_made(files, tmp_path, run):
    missing = tmp_path / "nowhere"
    assert refused(run("search", "a dog", *encoder(files), "--store", missing), "no such folder")
    assert not missing.exists()
    (tmp_path / "empty").mkdir()
    assert refused(run("search", "a dog", *encoder(files), "--store", tmp_path / "empty"), "holds no store")


def encoder(files: Files) -> list[str]:
    flags = files.flags
    place = flags.index("--captions")
    return flags[:place] + flags[place + 2 :]


def test_commands_make_and_ask_a_store(files, tmp_path, run):
    store = tmp_path / "store"
    made = run("index", *files.flags, "--dtype", "float32", "--store", store)
    assert f"300 captions in {store}" in made.out
    document = run("index", *files.flags, "--dtype", "float32", "--store", store, "--json").document
    assert (document["captions"], document["is_finished"]) == (300, True)
    hits = run("search", "a dog", *encoder(files), "--store", store, "--json").document["hits"]
    expected = run("search", "a dog", *files.flags, "--dtype", "float32", "--json").document["hits"]
    assert [hit["row"] for hit in hits] == [hit["row"] for hit in expected]
    assert [hit["caption_id"] for hit in hits] == [hit["caption_id"] for hit in expected]
    assert refused(run("index", *files.flags), "name the store: --store")
    assert refused(run("search", "a dog", *files.flags, "--store", store), "leave out --captions")


def test_a_store_is_written_from_shards_that_nobody_joined(tmp_path, monkeypatch, run):
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)
    monkeypatch.setattr("core.cluster.writing._BATCH", 37)
    texts = demo_texts(200)
    texts[11:11] = ["bicycle", texts[40]]
    files = make_files(tmp_path, texts)
    flags = [*files.flags, "--dtype", "float32"]
    for number in range(3):
        run("encode", *flags, "--shard", f"{number}/3")
    made = run("index", *flags, "--store", tmp_path / "store")
    assert f"201 captions in {tmp_path / 'store'}" in made.out
    assert not list((files.cache / "matrix").glob("*"))
    stored, local = explore(files, str(tmp_path / "store")), files.explorer()
    for text in ("a dog on a beach", texts[40], "a woman"):
        expected, found = local.ask(text).hits, stored.ask(text).hits
        assert found.rows.tolist() == expected.rows.tolist()
        np.testing.assert_allclose(found.distances, expected.distances, atol=1e-12)


def test_doctor_examines_a_store(files, store, run):
    document = run("doctor", *encoder(files), "--store", store, "--json").document
    assert document["ok"]
    assert document["store"]["captions"] == 300
    assert document["store"]["indexed"] == ["image_id", "in_sample", "row", "sentence"]
    Connection(store).open("captions").delete("row = 7")
    told = run("doctor", *encoder(files), "--store", store)
    assert told.code == 2
    assert "holds 299 captions, and 300 were written" in told.out
    write_weights(files.weights, seed=1)
    assert "made by another encoder" in run("doctor", *encoder(files), "--store", store).out


def test_other_methods_and_commands_that_need_all_captions_say_so(files, store, run):
    by_words = run("search", "a dog", *encoder(files), "--store", store, "--method", "bm25")
    assert refused(by_words, "a store is searched by the encoder alone: leave out --method bm25")
    assert refused(
        run("export", "-o", files.folder / "a.parquet", *encoder(files), "--store", store), "leave out --store"
    )
    assert refused(run("compare", "a dog", *encoder(files), "--store", store), "leave out --store")
    assert refused(run("encode", *encoder(files), "--store", store), "use the command index")
    assert refused(run("search", "a", *encoder(files), "--store", store, "--against", "random"), "leave out --against")


def test_regions_of_a_store_are_those_of_its_sample(files, store, run):
    told = run("regions", *encoder(files), "--store", store)
    assert "of a sample of" in told.err
    assert told.out


def test_hits_within_a_distance_are_all_found_however_many(local, stored, monkeypatch):
    monkeypatch.setattr("core.cluster.searching.PAGE", 110)
    for distance in (0.1, 0.2, 2.0):
        expected = local.within(local.ask("a dog on a beach"), distance).hits
        found = stored.within(stored.ask("a dog on a beach"), distance).hits
        assert sorted(found.rows.tolist()) == sorted(expected.rows.tolist())


def begun(explorer: Explorer, store: str, captions: int) -> None:
    """Write so many captions, then leave."""
    for step in write_store(of_matrix(explorer.opened), Connection(store, must_exist=False)):
        if step.stage == "writing the store" and step.done >= captions:
            return


def test_a_store_that_was_begun_in_another_order_is_begun_anew(files, tmp_path, monkeypatch, run):
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)
    monkeypatch.setattr("core.cluster.writing._BLOCK", 50)
    for number in range(2):
        run("encode", *files.flags, "--dtype", "float32", "--shard", f"{number}/2")
    store = str(tmp_path / "store")
    source = source_of(files, files.cache)
    for step in write_store(source, Connection(store, must_exist=False)):
        if step.stage == "writing the store" and step.done >= 100:
            break
    run("encode", *files.flags, "--dtype", "float32", "--gather")
    local = files.explorer()
    finish_index(local, store)
    assert rows_in_order(store) == list(range(300))


def test_a_run_that_ended_while_it_began_anew_is_repeated(local, files, tmp_path, monkeypatch, run):
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)
    monkeypatch.setattr("core.cluster.writing._BLOCK", 50)
    store = str(tmp_path / "store")
    begun(local, store, 100)
    for number in range(2):
        run("encode", *files.flags, "--dtype", "float32", "--cache-dir", tmp_path / "other", "--shard", f"{number}/2")
    source = source_of(files, tmp_path / "other")
    assert source.rows.tolist() != sorted(source.rows)  # the shards have another order than their matrix
    connection = Connection(store)
    create = connection._database.create_table

    def end(name, *args, **kwargs):
        if name == "captions":
            raise KeyboardInterrupt
        return create(name, *args, **kwargs)

    monkeypatch.setattr(connection._database, "create_table", end)
    with pytest.raises(KeyboardInterrupt):
        finish(write_store(source, connection))
    finish(write_store(source, Connection(store)))
    assert rows_in_order(store) == list(range(300))


def source_of(files: Files, cache: Path) -> Source:
    """What a store is written from."""
    setup = files.setup()
    return finish(open_source(setup, Cache(cache), finish(locate(setup, Cache(cache)))))


def rows_in_order(store: str) -> list[int]:
    return sorted(Connection(store).open("captions").search().select(["row"]).limit(1000).to_arrow()["row"].to_pylist())


_INDEX = """
import core.cluster.writing
from tui.cli import main
core.cluster.writing._BLOCK = 20
main()
"""


def test_a_program_that_is_killed_while_it_writes_a_store_loses_nothing(local, files, tmp_path):
    store = tmp_path / "store"
    versions = store / "captions.lance" / "_versions"
    command = [sys.executable, "-c", _INDEX, "index", *files.flags, "--dtype", "float32", "--store", store]
    for commits in (2, 5, 17):  # the last one while it is indexed
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not versions.is_dir() or len(list(versions.iterdir())) < commits):
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, capture_output=True)
    assert rows_in_order(str(store)) == list(range(300))
    assert rows_of(explore(files, str(store)), "a dog on a beach") == rows_of(local, "a dog on a beach")


def test_what_two_programs_have_written_is_written_again(local, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cluster.writing._BLOCK", 50)
    store = str(tmp_path / "store")
    begun(local, store, 100)
    table = Connection(store).open("captions")
    table.add(table.search().where("part = 1").limit(100).to_arrow())
    table.add(table.search().where("part = 0").limit(20).to_arrow())
    finish_index(local, store)
    assert rows_in_order(store) == list(range(300))


def test_what_another_program_writes_meanwhile_is_noticed_and_mended_by_repeating(local, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cluster.writing._BLOCK", 50)
    store = str(tmp_path / "store")

    def write_too(step):
        if step.stage == "writing the store" and step.done == 300:
            table = Connection(store).open("captions")
            table.add(table.search().where("part = 1").limit(100).to_arrow())

    with pytest.raises(AssetError, match="another program writes to it"):
        finish(write_store(of_matrix(local.opened), Connection(store, must_exist=False)), write_too)
    finish_index(local, store)
    assert rows_in_order(store) == list(range(300))


def test_a_finished_store_needs_no_embeddings_to_be_left_as_it_is(files, store, tmp_path, run):
    told = run("index", *files.flags, "--dtype", "float32", "--cache-dir", tmp_path / "other", "--store", store)
    assert f"300 captions were written before: {store}" in told.out
    assert "encoding" not in told.err
    assert not list((tmp_path / "other" / "matrix").glob("*/embeddings.npy"))


def test_a_store_is_not_made_alone_where_shards_are_missing(files, tmp_path, run):
    run("encode", *files.flags, "--dtype", "float32", "--shard", "0/2")
    told = run("index", *files.flags, "--dtype", "float32", "--store", tmp_path / "store")
    assert told.code == 2
    assert "1 of 2 shards of these captions are not finished: 1/2" in told.err
    assert not (tmp_path / "store").exists()


def test_options_that_a_store_cannot_have_are_refused_when_it_is_made(files, tmp_path, run):
    store = ("--store", tmp_path / "store")
    assert refused(run("index", *files.flags, *store, "--against", "random"), "leave out --against with index")
    assert refused(run("index", *files.flags, *store, "--nprobes", "3"), "leave it out with index")


@pytest.mark.parametrize(
    ("name", "found", "advice"),
    [
        ("a_file", "is no folder", "name another with --store"),
        ("a_link", "is a link that leads nowhere", "name another with --store"),
        ("a_folder", "holds other files (notes.txt)", "name a new or empty folder with --store"),
        ("s3:/bucket/store", "has one slash", "write two: --store s3://BUCKET/PREFIX"),
    ],
)
def test_a_store_is_not_made_where_something_else_is(files, tmp_path, monkeypatch, run, name, found, advice):
    monkeypatch.chdir(tmp_path)
    Path("a_file").write_text("a dog")
    Path("a_link").symlink_to("nowhere")
    Path("a_folder").mkdir()
    Path("a_folder", "notes.txt").write_text("a dog")
    there = sorted(tmp_path.rglob("*"))
    told = run("index", *files.flags, "--store", name)
    assert (told.code, found in told.err, advice in told.err) == (2, True, True)
    assert sorted(tmp_path.rglob("*")) == there


def test_the_command_line_outweighs_a_store_or_captions_of_the_environment(files, store, monkeypatch, run):
    asked = ("search", "a dog", *encoder(files), "--json")
    monkeypatch.setenv("INFERSENT_TUI_NPROBES", "7")
    in_memory = run(*asked, "--captions", files.captions).document
    monkeypatch.setenv("INFERSENT_TUI_CAPTIONS", str(files.captions))
    in_store = run(*asked, "--store", store).document
    monkeypatch.delenv("INFERSENT_TUI_CAPTIONS")
    monkeypatch.setenv("INFERSENT_TUI_STORE", store)
    again = run(*asked, "--captions", files.captions).document
    assert in_memory["hits"] == again["hits"]
    assert in_store["corpus"]["layout"].startswith("store of")
    assert not again["corpus"]["layout"].startswith("store of")


def test_captions_without_a_known_word_make_no_store(files, tmp_path, run):
    unknown, store = tmp_path / "unknown.txt", tmp_path / "store"
    unknown.write_text("\n".join(f"qqzx{i} zzqx{i} xqzq{i}" for i in range(60)))
    told = run("index", unknown, *encoder(files), "--layout", "lines", "--store", store)
    assert told.code == 2
    assert "no caption has a known word" in told.err
    assert not store.exists()


def test_a_store_that_is_made_again_with_other_captions_left_out_has_a_sample_of_its_own(local, files, store):
    of_all = explore(files, store).opened.sample
    shutil.rmtree(store)
    source = of_matrix(local.opened)
    finish(write_store(replace(source, rows=source.rows[:200]), Connection(store, must_exist=False)))
    rows = explore(files, store).opened.sample.rows
    assert of_all.rows.max() >= 200
    assert rows.max() < 200


def test_a_table_of_captions_that_another_program_wrote_is_left_alone(local, tmp_path):
    import lancedb
    import pyarrow as pa

    store = str(tmp_path / "store")
    lancedb.connect(store).create_table("captions", pa.table({"precious": [1, 2, 3]}))
    with pytest.raises(AssetError, match="that this program did not write"):
        finish_index(local, store)
    assert lancedb.connect(store).open_table("captions").to_arrow()["precious"].to_pylist() == [1, 2, 3]


def test_a_change_in_what_the_file_says_of_a_caption_is_another_store(local, files, store):
    document = json.loads(files.captions.read_text())
    document["annotations"][0]["image_id"] = 9999
    files.captions.write_text(json.dumps(document))
    with pytest.raises(AssetError, match="made of other ids, images or columns"):
        finish_index(files.explorer(), store)


def test_a_store_is_not_written_over_after_the_captions_changed(files, store, run):
    files.captions.write_text(files.captions.read_text().replace("dog", "cat"))
    told = run("index", *files.flags, "--dtype", "float32", "--store", store)
    assert told.code == 2
    assert "holds a store of captions (300 captions) by weights, made of other captions" in told.err
    in_other_numbers = run("index", *files.flags, "--dtype", "bfloat16", "--store", store)
    assert "made of other captions and numbers" in in_other_numbers.err


def test_a_filter_of_few_captions_finds_them_all_also_approximately(local, files, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cluster.writing.APPROXIMATE_FROM", 100)
    monkeypatch.setattr("core.cluster.schema.Approximation.__init__.__defaults__", (1, 2))
    store = store_of(local.opened, tmp_path / "store")
    stored = explore(files, store, is_exact=False)
    rows = [3, 77, 150, 222, 299]
    among = Filter.parse("is:bookmarked").with_bookmarks(rows)
    assert sorted(rows_of(stored, "a dog on a beach", among=among)) == rows


def test_more_than_there_is_may_be_asked_for(local, files, tmp_path, monkeypatch, run):
    monkeypatch.setattr("core.cluster.writing.APPROXIMATE_FROM", 100)
    store = store_of(local.opened, tmp_path / "store")
    most = "999999999"
    for flags in (["-k", most], ["--refine", most, "--nprobes", most], ["-k", most, "--refine", most]):
        found = run("search", "a dog", *encoder(files), "--store", store, *flags, "--json").document
        assert found["hits"][0]["row"] == rows_of(local, "a dog")[0]


@pytest.mark.parametrize("per_image", [1, 300, 150])
def test_a_store_of_any_groups_has_a_sample_of_its_size(tmp_path, per_image):
    files = make_files(tmp_path, demo_texts(300), per_image=per_image)
    stored = explore(files, store_of(files.explorer().opened, tmp_path / "store"))
    assert 50 < len(stored.opened.sample.rows) < 200
