"""The cache folder: what it remembers, what it refuses, what it deletes."""

import hashlib
import os
import pickle
import sqlite3
import stat
import time

import pytest

from core.assets import AssetError
from core.store.cache import Cache
from core.store.locks import only_one
from core.store.progress import finish
from core.store.whole import Origin, seal

A, B, C, D = (letter * 32 for letter in "abcd")
"""Keys of entries."""


class Plant:
    """A payload: unpickling it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "cache")
    yield cache
    cache.close()


@pytest.fixture
def an_hour_later(monkeypatch):
    """Let the clock be an hour ahead of the file system's: hashes of files just written are not remembered."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3600 * 10**9)


def written(path, text):
    """Write a file, with a time that programs set."""
    path.write_text(text)
    os.utime(path, ns=(10**18, 10**18))
    return path


def store(cache, kind, key, *, files=("rows.npy",), whole=True):
    folder = cache.folder(kind, key)
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_bytes(b"x" * 5000)
    if whole:
        seal(folder, Origin(key, 1, f"about {key}"))
    return folder


def plant(cache, sql, *values, into="registry"):
    """Change a database behind the back of the cache."""
    cache.close()
    with sqlite3.connect(cache.root / into / "cache.db") as database:
        assert database.execute(sql, values).rowcount == 1
    database.close()


# What is remembered.


def test_an_answer_comes_back_as_it_was(cache):
    values = [b"", b"abc", bytes(range(256)) * 1000]
    for i, value in enumerate(values):
        cache.remember_answer(f"key {i}", value)
    cache.close()
    again = Cache(cache.root)
    assert [again.recall_answer(f"key {i}") for i in range(3)] == values
    assert again.recall_answer("another") is None
    again.close()
    assert cache.problems == []


def test_a_hash_is_that_of_the_content(cache, tmp_path):
    path = written(tmp_path / "a", "kite")
    assert finish(cache.sha256(path)) == hashlib.sha256(b"kite").hexdigest()


def test_a_hash_is_remembered_while_the_file_stays(cache, tmp_path, an_hour_later):
    path = written(tmp_path / "a", "kite")
    finish(cache.sha256(path))
    plant(cache, "UPDATE Cache SET value = 'what is remembered'")
    again = Cache(cache.root)
    assert finish(again.sha256(path)) == "what is remembered"
    again.close()


def test_another_content_of_the_same_size_and_time_is_hashed_anew(cache, tmp_path, an_hour_later):
    path = written(tmp_path / "a", "kite")
    first = finish(cache.sha256(path))
    written(path, "boat")  # as `cp --preserve`, rsync and archives do
    assert finish(cache.sha256(path)) != first


@pytest.mark.parametrize("year", [1970, 2100])
def test_a_hash_is_right_whatever_time_a_file_claims(cache, tmp_path, an_hour_later, year):
    path = tmp_path / "a"
    hashes = []
    for text in ("kite", "boat"):
        path.write_text(text)
        os.utime(path, (365.25 * 86400 * (year - 1970),) * 2)
        hashes.append(finish(cache.sha256(path)))
    assert hashes == [hashlib.sha256(text).hexdigest() for text in (b"kite", b"boat")]


def test_the_hash_changes_when_the_content_changes(cache, tmp_path):
    path = written(tmp_path / "a", "kite")
    first = finish(cache.sha256(path))
    os.utime(path, ns=(10**18, 10**18 + 1))
    assert finish(cache.sha256(path)) == first
    path.write_text("boat")
    assert finish(cache.sha256(path)) != first
    written(path, "kites")
    assert finish(cache.sha256(path)) != first


def test_the_hash_of_a_file_just_written_is_not_remembered(cache, tmp_path):
    path = tmp_path / "a"
    path.write_text("kite")
    now = path.stat().st_mtime_ns
    first = finish(cache.sha256(path))
    path.write_text("boat")
    os.utime(path, ns=(now, now))  # as if within the same tick of the file system's clock
    assert finish(cache.sha256(path)) != first


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_file_that_cannot_be_hashed_is_an_error(cache, tmp_path, make):
    make(tmp_path / "a")
    with pytest.raises(AssetError):
        finish(cache.sha256(tmp_path / "a"))


# What is refused.


def test_a_planted_pickle_value_does_not_run(cache, tmp_path, an_hour_later):
    path, trap = written(tmp_path / "a", "kite"), tmp_path / "trap"
    first = finish(cache.sha256(path))
    plant(cache, "UPDATE Cache SET mode = 4, value = ?, filename = NULL", pickle.dumps(Plant(trap)))
    again = Cache(cache.root)
    assert finish(again.sha256(path)) == first
    assert not trap.exists()
    again.close()


def test_a_planted_pickle_file_does_not_run(cache, tmp_path, an_hour_later):
    path, trap = written(tmp_path / "a", "kite"), tmp_path / "trap"
    first = finish(cache.sha256(path))
    (cache.root / "registry" / "planted.val").write_bytes(pickle.dumps(Plant(trap)))
    plant(cache, "UPDATE Cache SET mode = 4, value = NULL, filename = 'planted.val'")
    assert finish(Cache(cache.root).sha256(path)) == first
    assert not trap.exists()


def test_a_planted_pickle_key_does_not_run(cache, tmp_path, an_hour_later):
    path, trap = written(tmp_path / "a", "kite"), tmp_path / "trap"
    finish(cache.sha256(path))
    plant(cache, "UPDATE Cache SET raw = 0, key = ?", pickle.dumps(Plant(trap)))
    again = Cache(cache.root)
    assert finish(again.sha256(path))
    with pytest.raises(OSError, match="refused"):
        list(again._registry)
    assert not trap.exists()
    again.close()


@pytest.mark.parametrize("name", ["{}", "../../thesis.txt", "ab/cd/{val}"])
def test_a_planted_file_name_leads_to_no_file_of_the_user(cache, tmp_path, name):
    thesis, val = written(tmp_path / "thesis.txt", "my own"), f"{28 * 'e'}.val"
    cache.remember_answer("key", b"answer")
    (cache.root / "answers/ab/cd").mkdir(parents=True)
    (cache.root / "answers/ab/cd" / val).symlink_to(thesis)
    sql = "UPDATE Cache SET mode = 2, value = NULL, expire_time = 1e12, filename = ?"
    plant(cache, sql, name.format(thesis, val=val), into="answers")
    again = Cache(cache.root)
    assert again.recall_answer("key") is None
    again.remember_answer("key", b"another answer")  # in place of the planted row, whose file would be deleted
    assert thesis.read_text() == "my own"
    assert again.recall_answer("key") == b"another answer"
    plant(again, "UPDATE Cache SET filename = ?, expire_time = 1", name.format(thesis, val=val), into="answers")
    last = Cache(cache.root)
    last.remember_answer("other", b"answer")  # deletes what has expired
    assert thesis.read_text() == "my own"
    assert last.recall_answer("key") is None
    last.close()


def test_a_large_answer_comes_back_and_its_file_goes_with_it(cache):
    large = bytes(range(256)) * 1000
    cache.remember_answer("key", large)
    assert cache.recall_answer("key") == large
    assert len(list(cache.root.glob("answers/*/*/*.val"))) == 1
    cache.remember_answer("key", b"small")
    assert cache.recall_answer("key") == b"small"
    assert list(cache.root.glob("answers/*/*/*.val")) == []


def test_the_trap_of_these_tests_does_spring_when_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Plant(tmp_path / "trap")))
    assert (tmp_path / "trap").exists()


@pytest.mark.parametrize("value", [b"bytes", 7, 0.5, None])
def test_a_remembered_value_of_another_kind_is_a_miss(cache, tmp_path, value, an_hour_later):
    path = written(tmp_path / "a", "kite")
    first = finish(cache.sha256(path))
    plant(cache, "UPDATE Cache SET mode = 1, value = ?, filename = NULL", value)
    assert finish(Cache(cache.root).sha256(path)) == first


def test_only_plain_values_are_stored(cache):
    with pytest.raises(TypeError, match="bytes, str, int or float"):
        cache._answers.set("key", ["a", "list"])


# What fails.


def test_a_corrupt_registry_is_a_miss_that_is_reported_once(cache, tmp_path):
    (cache.root / "registry").mkdir(parents=True)
    (cache.root / "registry" / "cache.db").write_bytes(b"this is no database" * 1000)
    path = written(tmp_path / "a", "kite")
    assert finish(cache.sha256(path)) == finish(cache.sha256(path))
    assert len(cache.problems) == 1
    assert "registry" in cache.problems[0]


def test_a_registry_with_settings_of_no_sense_is_a_miss(cache, tmp_path, an_hour_later):
    path = written(tmp_path / "a", "kite")
    first = finish(cache.sha256(path))
    plant(cache, "UPDATE Settings SET value = 'nonsense' WHERE key = 'eviction_policy'")
    again = Cache(cache.root)
    assert finish(again.sha256(path)) == first
    again.remember_answer("key", b"value")
    assert again.recall_answer("key") == b"value"
    assert len(again.problems) == 1
    again.close()


def test_a_place_that_cannot_be_written_is_a_miss_that_is_reported_once(tmp_path):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    path = written(tmp_path / "a", "kite")
    assert finish(cache.sha256(path)) == finish(cache.sha256(path))
    cache.remember_answer("key", b"value")
    assert cache.recall_answer("key") is None
    assert len(cache.problems) == 2  # the registry, the answers
    assert list(cache.entries()) == []
    assert cache.size() == 0
    assert cache.prune(set()) == []


def test_nothing_is_made_before_it_is_needed(cache):
    assert list(cache.entries()) == []
    assert cache.size() == 0
    assert not cache.root.exists()


# Who may look in.


def test_the_folders_are_their_owners_alone(cache, tmp_path):
    (cache.root / "registry").mkdir(parents=True, mode=0o755)
    finish(cache.sha256(written(tmp_path / "a", "kite")))
    cache.remember_answer("key", b"value")
    with only_one(cache.folder("vectors", "abc")) as waiting:
        list(waiting)
    for name in ("registry", "answers", "vectors"):
        assert stat.S_IMODE((cache.root / name).stat().st_mode) == 0o700


def test_the_default_place_is_the_checkout_or_the_users_cache(monkeypatch, tmp_path):
    import core.store.cache

    assert Cache.default_root() == core.store.cache._ROOT / "cache"
    monkeypatch.setattr(core.store.cache, "_ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert Cache.default_root().name == "infersent-tui"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "something-else"\n')
    assert Cache.default_root().name == "infersent-tui"


# What lies in it, and what is deleted.


def test_entries_are_listed_with_size_and_what_they_are_about(cache):
    store(cache, "vectors", A)
    store(cache, "matrix", B, files=("embeddings.npy", "norms.npy"))
    matrix, vectors = cache.entries()
    assert (matrix.kind, matrix.key, matrix.whole, matrix.about) == ("matrix", B, True, f"about {B}")
    assert (vectors.kind, vectors.key, vectors.whole, vectors.about) == ("vectors", A, True, f"about {A}")
    assert matrix.bytes >= 10000
    assert cache.size() == matrix.bytes + vectors.bytes


def test_unfinished_entries_are_listed_as_such(cache):
    store(cache, "vectors", f"{A}.1234abcd.part", whole=False)
    (store(cache, "matrix", B, whole=False) / "recipe.json").write_text(f'{{"about": "about {B}"}}')
    (store(cache, "matrix", C, whole=False) / "recipe.json").write_text("{cut of")
    (store(cache, "matrix", D) / "rows.npy").write_bytes(b"x" * 4999)  # damaged
    entries = {entry.key: entry for entry in cache.entries()}
    assert [entries[key].whole for key in (f"{A}.1234abcd.part", B, C, D)] == [False] * 4
    assert [entries[key].about for key in (f"{A}.1234abcd.part", B, C)] == ["unfinished", f"about {B}", "unfinished"]


def test_prune_keeps_what_is_kept(cache):
    kept, gone = store(cache, "matrix", A), store(cache, "matrix", B)
    unfinished = store(cache, "vectors", f"{C}.1234abcd.part", whole=False)
    assert {entry.path for entry in cache.prune({kept})} == {gone, unfinished}
    assert [entry.path for entry in cache.entries()] == [kept]
    assert {path.name for path in cache.root.glob("*/*")} == {A}  # no locks left behind


def test_prune_keeps_what_another_process_is_writing(cache, another_process):
    matrix = store(cache, "matrix", A, whole=False)
    vectors = store(cache, "vectors", f"{B}.1234abcd.part", whole=False)  # to become `bbb`
    writers = [another_process(matrix), another_process(cache.folder("vectors", B))]
    assert cache.prune(set()) == []
    assert matrix.exists()
    assert vectors.exists()
    for writer in writers:
        writer.kill()
        writer.wait()
    assert {entry.path for entry in cache.prune(set())} == {matrix, vectors}


def test_an_entry_whose_pruning_is_interrupted_is_not_whole(cache, monkeypatch):
    import shutil

    store(cache, "vectors", A)

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.prune(set())
    assert [entry.whole for entry in cache.entries()] == [False]


def test_an_entry_that_cannot_be_deleted_is_an_error(cache, monkeypatch):
    import shutil

    store(cache, "vectors", A)

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refused)  # root may delete everything
    with pytest.raises(AssetError, match="permission denied"):
        cache.prune(set())
