"""Which files are in use: those named, those found in a folder, the bundled demo; and how errors read."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core.assets import DEMO_DIR, AssetError, Assets


@pytest.fixture
def data(tmp_path):
    """A folder that holds the official names, scattered."""
    for name in ("InferSent/infersent2.pkl", "fastText/crawl-300d-2M.vec", "coco/annotations/captions_val2014.json"):
        place(tmp_path / "data" / name)
    return tmp_path / "data"


def place(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_without_any_file_the_bundled_demo_is_used():
    assets = Assets.find()
    assert assets.is_demo_encoder
    assert assets.is_demo_captions
    assert assets.version == 2
    assert assets.captions.is_file()


def test_captions_of_ones_own_go_with_the_demo_encoder(tmp_path):
    assets = Assets.find(captions=place(tmp_path / "mine.txt"))
    assert assets.is_demo_encoder
    assert not assets.is_demo_captions


def test_a_pipe_or_a_device_in_a_folder_is_passed_over_and_named_it_is_refused(data):
    early = data / "A"
    early.mkdir()
    os.mkfifo(early / "infersent2.pkl")
    (early / "crawl-300d-2M.vec").symlink_to("/dev/zero")
    (early / "captions_val2014.json").symlink_to(data / "coco/annotations/captions_val2014.json")
    assets = Assets.find(data_dir=data)
    assert assets.weights == data / "InferSent/infersent2.pkl"
    assert assets.vectors == data / "fastText/crawl-300d-2M.vec"
    assert assets.captions == early / "captions_val2014.json"
    for name in ("weights", "vectors", "captions", "embeddings"):
        with pytest.raises(AssetError, match="is not a plain file"):
            Assets.find(**{name: early / "infersent2.pkl"})


def test_an_error_is_no_longer_than_a_person_reads(tmp_path):
    error = AssetError(tmp_path, "x" * 10_000, expected="y" * 10_000, advice="z" * 10_000)
    assert error.found.endswith("xxx…")
    assert len(str(error)) < 7000
    assert len(str(AssetError("p" * 1_000_000, "is wrong"))) < 3000
    whole = AssetError(tmp_path, "x" * 2000)
    assert whole.found == "x" * 2000


def test_line_ends_within_names_make_no_lines_of_an_error():
    name = "a\nwhat to do: b\r\v\f\x1c\x85\u2028c"
    error = AssetError(name, f"holds {name}", expected=f"no {name}", advice=f"delete {name}")
    assert len(str(error).splitlines()) == 3
    assert str(error).startswith("a␊what to do: b␍␋␌␜\\u0085\\u2028c: holds a␊what")
    assert error.path == name


def test_standard_input_is_no_file_to_check():
    from pathlib import Path

    assert str(Assets.find(captions=Path("-")).captions) == "-"


def test_official_names_are_found_in_a_folder(data):
    assets = Assets.find(data_dir=data)
    assert assets == Assets(
        data / "InferSent/infersent2.pkl",
        data / "fastText/crawl-300d-2M.vec",
        data / "coco/annotations/captions_val2014.json",
        2,
    )


def test_weights_without_vectors_do_not_hide_those_of_the_other_version(data):
    (data / "fastText/crawl-300d-2M.vec").unlink()
    with pytest.raises(AssetError, match="without vectors"):
        Assets.find(data_dir=data)
    one, glove = place(data / "infersent1.pkl"), place(data / "glove.840B.300d.txt")
    assets = Assets.find(data_dir=data)
    assert (assets.weights, assets.vectors, assets.version) == (one, glove, 1)
    crawl = place(data / "crawl-300d-2M.vec")
    assert Assets.find(data_dir=data).vectors == crawl
    assert Assets.find(data_dir=data, version=1).vectors == glove
    assert Assets.find(data_dir=data, vectors=glove).weights == data / "InferSent/infersent2.pkl"


def test_files_named_come_before_files_found(data, tmp_path):
    mine = place(tmp_path / "mine.txt")
    assert Assets.find(data_dir=data, captions=mine).captions == mine


def test_files_are_found_four_folders_deep_and_no_deeper(tmp_path):
    deep = place(tmp_path / "a/b/c/d/captions_val2014.json")
    assert Assets.find(data_dir=tmp_path).captions == deep
    with pytest.raises(AssetError, match="none of the official files"):
        Assets.find(data_dir=_moved(tmp_path / "a", tmp_path / "one/deeper/a").parents[1])


def _moved(source, target):
    target.parent.mkdir(parents=True)
    return source.rename(target)


def test_linked_folders_are_searched_and_loops_of_links_end(data, tmp_path):
    lent = tmp_path / "lent"
    lent.mkdir()
    (lent / "captions").symlink_to(data / "coco")
    (lent / "loop").symlink_to(lent)
    assert Assets.find(data_dir=lent).captions.name == "captions_val2014.json"


def test_a_relative_folder_is_searched_as_deep_as_an_absolute_one(data, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(data)
    assert Assets.find(data_dir=Path()).captions.is_file()


def test_version_1_is_told_from_the_weights(data):
    place(data / "glove.840B.300d.zip")
    assets = Assets.find(data_dir=data, weights=place(data / "infersent1.pkl"))
    assert (assets.version, assets.vectors.name) == (1, "glove.840B.300d.zip")


def test_a_version_asked_for_chooses_its_weights_and_vectors(data):
    place(data / "infersent1.pkl")
    place(data / "glove.840B.300d.txt")
    assets = Assets.find(data_dir=data, version=1)
    assert (assets.weights.name, assets.vectors.name) == ("infersent1.pkl", "glove.840B.300d.txt")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("infersent1.pkl", 1),
        ("infersent2.pkl", 2),
        ("encoder-v1.pt", 1),
        ("mine.pkl", 2),
        ("infersent2-2017.pkl", 2),
        ("infersent2_epoch10.pkl", 2),
        ("run_2018.pkl", 2),
    ],
)
def test_the_version_is_the_first_lone_1_or_2_of_the_name(tmp_path, name, version):
    assets = Assets.find(weights=place(tmp_path / name), vectors=place(tmp_path / "some.vec"))
    assert assets.version == version


def test_the_version_named_wins_over_the_name(tmp_path):
    weights, vectors = place(tmp_path / "infersent1.pkl"), place(tmp_path / "some.vec")
    assert Assets.find(weights=weights, vectors=vectors, version=2).version == 2


@pytest.mark.parametrize("option", ["weights", "vectors", "captions"])
def test_a_named_file_that_is_missing_is_an_error_with_its_path(tmp_path, option):
    with pytest.raises(AssetError, match="no such file") as caught:
        Assets.find(**{option: tmp_path / "nothing.pkl"})
    assert caught.value.path == str(tmp_path / "nothing.pkl")
    assert caught.value.advice


def test_a_named_folder_is_an_error(tmp_path):
    with pytest.raises(AssetError, match="is a folder"):
        Assets.find(captions=tmp_path)


def test_an_impossible_path_is_an_error(tmp_path):
    with pytest.raises(AssetError):
        Assets.find(captions=tmp_path / ("x" * 300))


@pytest.mark.parametrize(("option", "missing"), [("weights", "--vectors"), ("vectors", "--model")])
def test_weights_and_vectors_come_only_together(tmp_path, option, missing):
    with pytest.raises(AssetError, match="given without") as caught:
        Assets.find(**{option: place(tmp_path / "infersent2")})
    assert missing in caught.value.advice


def test_a_folder_with_weights_but_no_vectors_says_what_is_missing(tmp_path):
    place(tmp_path / "infersent2.pkl")
    with pytest.raises(AssetError, match="without vectors") as caught:
        Assets.find(data_dir=tmp_path)
    assert "infersent-tui fetch crawl" in caught.value.advice


def test_a_folder_without_official_files_says_their_names(tmp_path):
    with pytest.raises(AssetError, match=r"infersent2\.pkl"):
        Assets.find(data_dir=tmp_path)


@pytest.mark.parametrize(("make", "found"), [(False, "no such folder"), (True, "is a file")])
def test_a_data_folder_that_is_none_is_an_error(tmp_path, make, found):
    path = place(tmp_path / "data") if make else tmp_path / "data"
    with pytest.raises(AssetError, match=found):
        Assets.find(data_dir=path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
def test_a_data_folder_that_may_not_be_read_is_an_error(mode):
    with TemporaryDirectory() as folder:  # the folders above are open to every user
        path = Path(folder) / "data"
        os.chmod(folder, 0o755)
        place(path / "captions_val2014.json")
        path.chmod(mode)
        os.seteuid(2000)
        try:
            with pytest.raises(AssetError, match="permission denied"):
                Assets.find(data_dir=path)
        finally:
            os.seteuid(0)


def test_version_1_of_the_demo_is_refused():
    with pytest.raises(AssetError, match="version 2"):
        Assets.find(version=1)


def test_the_demo_is_told_by_its_folder(tmp_path):
    assert not Assets(tmp_path / "a", tmp_path / "b", DEMO_DIR / "captions.json", 2).is_demo_encoder


def test_an_error_reads_path_found_expected_advice():
    error = AssetError("a.vec", "is empty", expected="lines", advice="download it again")
    assert str(error).splitlines() == ["a.vec: is empty", "expected: lines", "what to do: download it again"]
    assert str(AssetError("a.vec", "is empty")) == "a.vec: is empty"


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (errno.ENOENT, "no such file"),
        (errno.EACCES, "permission denied"),
        (errno.EISDIR, "is a folder"),
        (errno.ENOSPC, "No space left on device"),
        (errno.EROFS, "Read-only file system"),
    ],
)
def test_an_error_of_the_system_says_what_to_do(number, found):
    error = AssetError.from_os_error("a.vec", OSError(number, os.strerror(number)))
    assert found in str(error)
    assert error.advice
