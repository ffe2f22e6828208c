"""Shards: several jobs encode one corpus, and what they made is joined to what one machine would have made."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Files, demo_texts, make_files, refused, write_weights

from core.assets import AssetError
from core.encoding.shards import Shard
from core.opening import locate, open_
from core.sharding import Sharded, encode_shard, join_shards
from core.store.cache import Cache
from core.store.progress import finish
from core.store.whole import is_whole, read_json

_FILES = ("embeddings.npy", "norms.npy", "row_norms.npy", "ids.npy", "starts.npy", "recipe.json")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("core.encoding.building.CHUNK", 40)


def encode(files: Files, number: int, count: int) -> Sharded:
    return finish(encode_shard(files.setup(), Cache(files.cache), Shard(number, count)))[0]


def join(files: Files) -> Sharded:
    return finish(join_shards(files.setup(), Cache(files.cache)))[0]


def alone(files: Files) -> Path:
    """The matrix that one machine makes, in a cache of its own."""
    cache = Cache(files.cache.with_name("alone"))
    return finish(open_(files.setup(), cache)).matrix.folder


def same(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in _FILES)


def interrupt(steps, stage: str, done: int) -> None:
    for step in steps:
        if step.stage == stage and step.done >= done:
            break
    else:
        pytest.fail("it ended")
    steps.close()


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_the_joined_matrix_is_that_of_one_machine_bit_by_bit(new_files, count):
    done = [encode(new_files, number, count) for number in reversed(range(count))]
    assert sum(each.report.rows for each in done) == 300
    joined = join(new_files)
    assert (joined.report.rows, joined.report.reused) == (300, False)
    assert same(joined.folder, alone(new_files))
    assert new_files.explorer().opened.report.reused


def test_captions_that_occur_often_are_encoded_once_and_joined_to_all_their_rows(tmp_path):
    texts = demo_texts(90)
    files = make_files(tmp_path, [*texts, *texts, *texts[:50]])
    for number in range(2):
        encode(files, number, 2)
    assert same(join(files).folder, alone(files))


def test_an_interrupted_shard_goes_on_and_a_finished_one_is_left_as_it_is(new_files):
    steps = encode_shard(new_files.setup(), Cache(new_files.cache), Shard(1, 2))
    interrupt(steps, "encoding captions", 81)
    first, again = encode(new_files, 1, 2), encode(new_files, 1, 2)
    assert first.report.resumed_rows == 80
    assert not first.report.reused
    assert again.report.reused
    assert again.missing == [0]
    encode(new_files, 0, 2)
    assert same(join(new_files).folder, alone(new_files))


def test_joining_says_which_shards_are_missing(new_files):
    with pytest.raises(AssetError, match="holds no shard of these captions") as nothing:
        join(new_files)
    assert "--shard 0/3" in str(nothing.value)
    encode(new_files, 1, 4)
    interrupt(encode_shard(new_files.setup(), Cache(new_files.cache), Shard(2, 4)), "encoding captions", 40)
    with pytest.raises(AssetError, match="3 of 4 shards of these captions are not finished: 0/4, 2/4, 3/4") as some:
        join(new_files)
    assert "--shard 0/4" in some.value.advice
    assert not finish(locate(new_files.setup(), Cache(new_files.cache))).matrix.exists()


def test_of_two_divisions_the_finished_one_is_joined_and_nothing_is_left_of_the_other(new_files):
    encode(new_files, 0, 3)
    for number in range(2):
        encode(new_files, number, 2)
    assert same(join(new_files).folder, alone(new_files))
    assert not list((new_files.cache / "shards").iterdir())


def test_once_joined_a_repeated_job_and_a_repeated_join_do_nothing(new_files):
    encode(new_files, 0, 1)
    joined = join(new_files)
    again = encode(new_files, 0, 1)
    assert again.report.reused
    assert again.is_joined
    assert again.folder == joined.folder
    assert join(new_files).report.reused
    assert not [each for each in (new_files.cache / "shards").iterdir() if each.is_dir()]


def test_a_damaged_shard_is_named_and_encoded_again(new_files, monkeypatch):
    monkeypatch.setattr("core.store.whole._CHECKED_BYTES", 128)  # what is seen without reading all
    shards = [encode(new_files, number, 3) for number in range(3)]
    with (shards[1].folder / "embeddings.npy").open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"xx")
    with pytest.raises(AssetError, match="damaged shards, which count as unfinished now: 1/3"):
        join(new_files)
    with pytest.raises(AssetError, match="1 of 3 shards of these captions are not finished: 1/3"):
        join(new_files)
    assert not encode(new_files, 1, 3).report.reused
    assert same(join(new_files).folder, alone(new_files))


def test_shards_of_unlike_machines_are_not_joined_until_one_is_encoded_again(new_files, monkeypatch):
    encode(new_files, 0, 2)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0")
        encode(new_files, 1, 2)
    message = r"encoded otherwise than the other shards: 1/2 \(torch was \S+, is 1\.0\)"
    with pytest.raises(AssetError, match=message) as unlike:
        join(new_files)
    assert str(encode(new_files, 1, 2).folder) in unlike.value.advice
    assert encode(new_files, 1, 2).report.reused, "nothing that is finished is lost"
    shutil.rmtree(encode(new_files, 1, 2).folder)  # as it says
    encode(new_files, 1, 2)
    assert same(join(new_files).folder, alone(new_files))


def test_the_shard_that_is_unlike_most_is_named_also_if_it_is_the_first(new_files, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0")
        odd = encode(new_files, 0, 3).folder
    likes = [encode(new_files, number, 3).folder for number in (1, 2)]
    with pytest.raises(AssetError, match="than the other shards: 0/3") as unlike:
        join(new_files)
    assert str(odd) in unlike.value.advice
    assert not [folder for folder in likes if str(folder) in unlike.value.advice]


def test_what_is_joined_is_not_joined_again(new_files):
    encode(new_files, 0, 1)
    join(new_files)
    again = join(new_files).report
    assert (again.reused, again.seconds) == (True, 0)


def test_a_machine_that_chooses_another_dtype_is_told_so(new_files):
    encode(new_files, 0, 1)
    with pytest.raises(AssetError, match="but there are some in float32") as wrong:
        finish(join_shards(replace(new_files.setup(), dtype="bfloat16"), Cache(new_files.cache)))
    assert wrong.value.advice == "say --dtype float32"


@pytest.mark.parametrize("rows", [1, 150, 299])
def test_an_interrupted_join_goes_on(new_files, rows):
    for number in range(3):
        encode(new_files, number, 3)
    interrupt(join_shards(new_files.setup(), Cache(new_files.cache)), "joining shards", rows)
    joined = join(new_files)
    assert joined.report.resumed_rows >= rows
    assert same(joined.folder, alone(new_files))


def test_joining_goes_on_with_what_one_machine_began_and_that_machine_with_an_interrupted_join(new_files):
    interrupt(open_(new_files.setup(), Cache(new_files.cache)), "encoding captions", 121)
    for number in range(2):
        encode(new_files, number, 2)
    interrupt(join_shards(new_files.setup(), Cache(new_files.cache)), "joining shards", 200)
    folder = finish(locate(new_files.setup(), Cache(new_files.cache))).matrix
    done = read_json(folder / "progress.json")["rows"]
    report = new_files.explorer().opened.report
    assert (report.resumed_rows, report.started_over) == (done, "")
    assert same(folder, alone(new_files))


def test_shards_belong_to_their_weights(new_files):
    for number in range(2):
        encode(new_files, number, 2)
    write_weights(new_files.weights, seed=1)
    with pytest.raises(AssetError, match="holds no shard"):
        join(new_files)


def test_a_second_encoder_has_shards_of_its_own(new_files, run):
    arguments = [*new_files.flags, "--against", "random"]
    for number in range(2):
        outcome = run("encode", *arguments, "--shard", f"{number}/2", "--json")
        assert outcome.document["against"]["shard"] == f"{number}/2"
        assert outcome.document["missing"] == outcome.document["against"]["missing"] == ([1] if number == 0 else [])
    joined = run("encode", *arguments, "--gather", "--json").document
    assert joined["rows"] == joined["against"]["rows"] == 300
    assert run("encode", *arguments, "--json").document["against"]["reused"]


def test_commands_encode_and_join_shards(new_files, run):
    first = run("encode", *new_files.flags, "--shard", "0/2")
    assert "captions of shard 0/2 encoded in" in first.out
    assert "not encoded yet: 1/2" in first.err
    assert refused(run("encode", *new_files.flags, "--gather"), "1 of 2 shards of these captions")
    last = run("encode", *new_files.flags, "--shard", "1/2")
    assert "all shards are encoded: join them with --gather in place of --shard" in last.err
    again = run("encode", *new_files.flags, "--shard", "1/2")
    assert "captions of shard 1/2 were encoded before" in again.out
    assert "300 captions joined in" in run("encode", *new_files.flags, "--gather").out
    assert "300 captions were joined before" in run("encode", *new_files.flags, "--gather").out


@pytest.mark.parametrize("value", ["3/3", "1", "1/0", "-1/3", "a/b", "", "1/3/5", "٣/٥"])
def test_what_is_no_shard_is_refused(new_files, run, value):
    assert refused(run("encode", *new_files.flags, f"--shard={value}"), "--shard")


def test_shards_are_not_joined_while_one_is_encoded_nor_asked_of_embeddings(new_files, run):
    assert refused(run("encode", *new_files.flags, "--gather", "--shard", "0/1"), "--gather joins the shards")
    folder = alone(new_files)
    given = ["--embeddings", folder / "embeddings.npy", "--captions", new_files.captions]
    given += ["--cache-dir", new_files.cache]
    assert refused(run("encode", *given, "--shard", "0/1"), "leave out --embeddings")


def test_the_cache_lists_shards_and_keeps_those_of_the_files_in_use(new_files, run):
    encode(new_files, 0, 2)
    listed = run("cache", "list", "--json", *new_files.flags, "--dtype", "float32").document
    assert [(each["kind"], each["whole"]) for each in listed] == [("shards", True), ("vectors", True)]
    assert listed[0]["about"].startswith("shard 0/2 · weights · captions (300)")
    assert "nothing to delete" in run("cache", "prune", "--yes", *new_files.flags, "--dtype", "float32").out
    document = run("doctor", "--json", *new_files.flags, "--dtype", "float32").document
    assert document["matrix"]["state"] == "not encoded yet; 1 of 2 shards encoded"
    write_weights(new_files.weights, seed=1)
    assert "deleted 1" in run("cache", "prune", "--yes", *new_files.flags, "--dtype", "float32").out
    assert not (new_files.cache / "shards" / listed[0]["key"]).exists()


def test_shards_that_the_matrix_replaces_are_pruned(new_files, run):
    folder = encode(new_files, 0, 2).folder
    new_files.explorer()
    assert is_whole(folder)
    assert "deleted 1" in run("cache", "prune", "--yes", *new_files.flags, "--dtype", "float32").out


def test_a_cache_that_is_moved_to_another_machine_has_its_shards(new_files, tmp_path):
    encode(new_files, 0, 2)
    other = replace(new_files, cache=tmp_path / "elsewhere")
    shutil.copytree(new_files.cache / "shards", other.cache / "shards")
    encode(other, 1, 2)
    assert same(join(other).folder, alone(new_files))
