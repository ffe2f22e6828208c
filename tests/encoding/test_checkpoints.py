"""Checkpoints are read as torch reads them, but nothing in them runs or takes more memory than they have bytes."""

import collections
import io
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.assets import AssetError
from core.encoding.checkpoints import read_checkpoint
from core.encoding.pickles import Named, Unpickler

FORMATS = pytest.mark.parametrize("zipped", [False, True])


def saved(value: object, path: Path, *, zipped: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def parts_of_a_training() -> dict[str, object]:
    """What stands beside the tensors in the checkpoints of people."""
    optimizer = torch.optim.Adam(torch.nn.LSTM(3, 2).parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    pair = ((1, 2), 3)
    return {
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),  # holds a Counter
        "revision": b"abc",
        "seen": {1, 2},
        "root": 1j,
        "buffer": bytearray(b"abc"),
        "dtypes": (torch.float16, torch.bool, torch.long),
        "sparse": torch.eye(3).to_sparse(),
        "pairs": (pair, (pair, pair)),
        "large": 2**3000,
        "words": {f"word{n}": n for n in range(5000)},
        "random": torch.get_rng_state(),
    }


TENSORS = {
    **{str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in (torch.float64, torch.float16, torch.bfloat16)},
    **{str(dtype): torch.arange(6).to(dtype) for dtype in (torch.uint8, torch.int16, torch.bool, torch.complex64)},
    "number": torch.tensor(5.0),
    "empty": torch.empty(0),
    "no columns": torch.empty(3, 0),
    "part": torch.arange(24.0).reshape(2, 3, 4)[:, 1:, ::2],
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "expanded": torch.tensor(0.5).expand(3, 4),
    "parameter": torch.nn.Parameter(torch.ones(3)),
}


@FORMATS
@pytest.mark.parametrize("value", TENSORS.values(), ids=TENSORS)
def test_a_tensor_is_as_torch_reads_it(tmp_path, value, zipped):
    path = saved({"a": value, "again": value, 7: "seven"}, tmp_path / "a.pt", zipped=zipped)
    read, wanted = read_checkpoint(path), torch.load(path, weights_only=True)
    assert read["7"] == "seven"
    for name in ("a", "again"):
        assert read[name].dtype == wanted[name].dtype
        assert torch.equal(read[name], wanted[name])


@FORMATS
def test_the_parts_of_a_training_stand_beside_the_tensors(tmp_path, zipped):
    model = torch.nn.LSTM(3, 2)
    path = saved({"model": model.state_dict()} | parts_of_a_training(), tmp_path / "a.pt", zipped=zipped)
    read = read_checkpoint(path)
    assert list(read) == ["model", *parts_of_a_training()]
    assert all(torch.equal(value, read["model"][name]) for name, value in model.state_dict().items())
    assert read["words"]["word4999"] == 4999
    assert read["seen"] == Named("__builtin__.set")
    assert read["pairs"] == (((1, 2), 3), (((1, 2), 3), ((1, 2), 3)))


@FORMATS
@pytest.mark.parametrize("protocol", [3, 4])
def test_a_newer_protocol_of_pickle_is_read_like_the_usual_one(tmp_path, zipped, protocol):
    value = {
        "model": torch.nn.LSTM(3, 2).state_dict(),
        "long": "a" * 300,
        "some": frozenset({3}),
    } | parts_of_a_training()
    usual = read_checkpoint(saved(value, tmp_path / "a.pt", zipped=zipped))
    torch.save(value, tmp_path / "b.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "b.pt")
    assert list(read) == list(value)
    assert all(torch.equal(each, read["model"][name]) for name, each in value["model"].items())
    for name in ("optimizer", "schedule", "long", "large", "words", "pairs", "dtypes"):
        assert read[name] == usual[name]
    assert isinstance(read["seen"], Named)
    assert isinstance(read["some"], Named)
    assert read["revision"] == b"abc"


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_plain_pickle_of_any_protocol_is_named(tmp_path, protocol):
    for value in (os.system, [1, {"a": os.system}] if protocol else os.system):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
        with pytest.raises(AssetError, match=r"holds a posix\.system"):
            read_checkpoint(tmp_path / "a.pkl")


def test_a_plain_pickle_is_said_not_to_be_of_torch(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"weight": np.ones(3), "words": {"a", "b"}}))
    with pytest.raises(ValueError, match=r"not written by torch\.save"):
        read_checkpoint(tmp_path / "a.pkl")


@FORMATS
def test_keys_that_are_neither_texts_nor_numbers_are_left_out(tmp_path, zipped):
    path = saved({(("a",), 2): 3, None: 1, 7: 2, "b": 4}, tmp_path / "a.pt", zipped=zipped)
    assert read_checkpoint(path) == {"7": 2, "b": 4}


def with_pickle(path: Path, content: bytes, *, zipped: bool, **members: bytes) -> Path:
    """A file with another pickle in place of torch's."""
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", content)
            for name, member in members.items():
                archive.writestr(f"a/data/{name}", member)
    else:
        saved({}, path, zipped=False)
        *before, _, keys = [b"\x80\x02" + part for part in path.read_bytes().split(b"\x80\x02")[1:]]
        if members:
            keys = b"\x80\x02](" + b"".join(map(text, members)) + b"e."
        numbers = b"".join(struct.pack("<q", len(each)) + each for each in members.values())
        path.write_bytes(b"".join([*before, content, keys, numbers]))
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def storage(key: str, size: int) -> bytes:
    return b"(" + text("storage") + b"ctorch\nByteStorage\n" + text(key) + text("cpu") + number(size) + b"tQ"


def tensor(storage: bytes, size: int, *, offset: int = 0) -> bytes:
    shape = number(offset) + number(size) + b"\x85" + number(1) + b"\x85"
    return b"ctorch._utils\n_rebuild_tensor\n(" + storage + shape + b"tR"


def repeated(what: bytes) -> bytes:
    """A pickle of a thousand values, each made from the list of 3,000 numbers that the memo holds under 0."""
    numbers = b"".join(b"M" + n.to_bytes(2, "little") for n in range(3000))
    return b"\x80\x02]q\x00(" + numbers + b"e(" + what * 1000 + b"t."


REFUSED = {  # pickles, and what they are refused for
    "code in a new protocol": (b"\x80\x04\x8c\x02os\x8c\x06system\x93" + text("x") + b"\x85R.", "holds a os.system"),
    "code": (b"\x80\x02cos\nsystem\n" + text("touch x") + b"\x85R.", "holds a os.system"),
    "tensors": (b"\x80\x02ctorch\nFloatTensor\nK\x05\x85R.", "holds a torch.FloatTensor"),
    "memory": (
        b"\x80\x02" + storage("0", 1 << 40) + b".",
        "claim at least 1,099,511,627,776 bytes: more than",
    ),
    "long": (b"\x80\x02" + tensor(storage("0", 4), 5) + b".", "claim more than the file has"),
    "late": (b"\x80\x02" + tensor(storage("0", 4), 4, offset=1) + b".", "claim more than the file has"),
    "no storage": (b"\x80\x02" + tensor(b"K\x00", 4) + b".", "claim more than the file has"),
}
HARMLESS = {  # pickles that stay small, and what they are
    "bytes": (b"\x80\x02cbuiltins\nbytearray\n" + number(1 << 40) + b"\x85R.", Named("builtins.bytearray")),
    "copies": (repeated(b"ccollections\nOrderedDict\nh\x00\x85R"), tuple),
    "sizes": (repeated(b"ctorch\nSize\nh\x00\x85R"), tuple),
    "attributes": (repeated(b"ccollections\nOrderedDict\n)Rh\x00b"), tuple),
    "doubled": (b"\x80\x02)" + b"\x85q\x00h\x00\x86" * 1000 + b".", tuple),
    "nested": (b"\x80\x02}K\x00" + b"\x85" * 100_000 + b"K\x01s.", {}),
    "sets": (b"\x80\x04\x8f(" + b"(K\x01\x91\x94" * 30_000 + b"\x90.", Named("builtins.set")),
    "memoized": (b"\x80\x04)" + b"\x85\x94h\x00\x86" * 1000 + b".", tuple),
    "keys": (b"\x80\x02})" + b"\x85q\x00h\x00\x86" * 1000 + b"K\x01s.", {}),
    "long numbers": (
        b"\x80\x02(\x8b" + struct.pack("<i", 1700) + b"\x01" * 1700 + b"q\x00" + b"}h\x00Ns" * 1000 + b"t.",
        tuple,
    ),
}
DAMAGED = {  # pickles, and the reason
    "opcode": (b"\x80\x02(\x97\x97t.", "the opcode NEXT_BUFFER"),
    "long name": (b"\x80\x04" + text("collections") + text("a" * 101) + b"\x93.", "a name that is too long"),
    "no name": (b"\x80\x02K\x01K\x02\x93.", "a name that is no text"),
    "short": (b"\x80\x02\x86.", "takes what it does not have"),
    "mark": (b"\x80\x02(K\x01)\x86\x86t.", "takes what it does not have"),
    "negative": (b"\x80\x02" + storage("0", -4) + b".", "no storage"),
    "shape": (b"\x80\x02" + tensor(storage("0", 4), -1) + b".", "has no shape"),
    "two lengths": (b"\x80\x02" + storage("0", 4) + storage("0", 2) + b"\x86.", "disagree"),
    "endless": (b"\x80\x02" + b"]0" * 1_500_000 + b".", "the opcode POP"),
    "too long": (b"\x80\x02" + b"}" * 3_000_000 + b".", "too long"),
}


@FORMATS
@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_run_code_or_exhaust_the_memory_is_refused(tmp_path, kind, zipped):
    content, found = REFUSED[kind]
    path = with_pickle(tmp_path / "a.pkl", content, zipped=zipped, **{"0": b"abcd"})
    with pytest.raises(AssetError, match=found):
        read_checkpoint(path)


@FORMATS
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_a_pickle_repeats_takes_memory_in_proportion_to_its_length(tmp_path, kind, zipped):
    content, wanted = HARMLESS[kind]
    path = with_pickle(tmp_path / "a.pkl", content, zipped=zipped)
    tracemalloc.start()
    try:
        read = read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 + 100 * len(content)
    finally:
        tracemalloc.stop()
    assert isinstance(read, wanted) if isinstance(wanted, type) else read == wanted


@FORMATS
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_pickle_is_an_error_with_its_reason(tmp_path, kind, zipped):
    content, reason = DAMAGED[kind]
    path = with_pickle(tmp_path / "a.pkl", content, zipped=zipped, **{"0": b"abcd"})
    with pytest.raises(ValueError, match=reason):
        read_checkpoint(path)


@FORMATS
def test_numbers_that_are_not_as_many_as_their_tensors_claim_are_an_error(tmp_path, zipped):
    content = b"\x80\x02" + tensor(storage("0", 4), 4) + b"."
    path = with_pickle(tmp_path / "a.pkl", content, zipped=zipped, **{"0": b"abcd"})
    assert read_checkpoint(path).tolist() == list(b"abcd")
    for numbers in ({"0": b"abc"}, {"0": b"abcde"}, {"1": b"abcd"}, {"0": b"abcd" + bytes(1000), "1": b"abcd"}):
        with_pickle(path, content, zipped=zipped, **numbers)
        with pytest.raises((ValueError, KeyError)):
            read_checkpoint(path)


def test_what_stands_in_place_of_a_shape_or_of_the_name_of_numbers_is_not_spelled_out(tmp_path):
    """A tensor has an object for each number when it is listed, and a text of nested tuples doubles with each."""
    numbers = storage("0", 100_000) + b"q\x01"
    shape = b"\x80\x02ctorch._utils\n_rebuild_tensor\n(" + numbers + number(0) + b"h\x01h\x01tR."
    path = with_pickle(tmp_path / "a.pkl", shape, zipped=False, **{"0": bytes(100_000)})
    keys = b"\x80\x02]U\x01x" + b"q\x00h\x00\x86" * 20 + b"a."
    nested = saved({}, tmp_path / "b.pkl", zipped=False)
    nested.write_bytes(nested.read_bytes().removesuffix(b"\x80\x02]q\x00.") + keys)
    for damaged, reason in ((path, "has no shape"), (nested, "no text")):
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=reason):
                read_checkpoint(damaged)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


def test_a_call_copies_few_of_its_arguments():
    """A memo gives a tuple of a million arguments to as many calls."""
    unpickler = Unpickler(named=str, persistent=str, made={"a.b": lambda *given: len(given)})
    assert unpickler.load(io.BytesIO(b"\x80\x02ca\nb\n(" + b"N" * 1000 + b"tR.")) == 8


def test_a_storage_under_many_spellings_is_not_read_again_for_each(tmp_path):
    """Torch takes a name up to a null character, and ignores upper and lower case."""
    names = ["abc", "ABC", "aBC", "abc\0", "abc\0d"]
    content = b"\x80\x02(" + b"".join(storage(name, 5000) for name in names) + b"t."
    with pytest.raises(AssetError, match="more than the file has"):
        read_checkpoint(with_pickle(tmp_path / "a.pkl", content, zipped=True, abc=bytes(5000)))


def test_an_ordered_dict_as_python_2_wrote_it_is_read(tmp_path):
    content = b"\x80\x02ccollections\nOrderedDict\nq\x01]q\x02]q\x03(U\x05epochK\x03ea\x85q\x04Rq\x05."
    assert read_checkpoint(with_pickle(tmp_path / "a.pkl", content, zipped=False)) == {"epoch": 3}


def test_attributes_of_a_state_dict_are_left_out(tmp_path):
    state = torch.nn.Linear(2, 3).state_dict()
    assert isinstance(state, collections.OrderedDict)
    assert state._metadata
    assert list(read_checkpoint(saved(state, tmp_path / "a.pt", zipped=False))) == ["weight", "bias"]


@pytest.mark.parametrize("content", [b"\x80\x02K\x05.", b"abc", b"", b"PK\x03\x04abc"])
def test_what_torch_did_not_write_is_an_error(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(Exception, match=r"\w"):
        read_checkpoint(tmp_path / "a.pkl")


def test_numbers_in_the_byte_order_of_other_processors_are_refused(tmp_path):
    path = saved({"a": torch.ones(2)}, tmp_path / "a.pt", zipped=False)
    path.write_bytes(re.sub(rb"(little_endianq.)\x88", b"\\1\x89", path.read_bytes()))
    with pytest.raises(ValueError, match="byte order"):
        read_checkpoint(path)
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/byteorder", "big")
    with pytest.raises(ValueError, match="byte order"):
        read_checkpoint(tmp_path / "b.pt")


def test_an_archive_without_a_member_that_a_tensor_names_says_what_it_lacks(tmp_path):
    path = saved({"a": torch.ones(3)}, tmp_path / "a.pt", zipped=True)
    cut = tmp_path / "cut.pt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(cut, "w") as less:
        for name in archive.namelist():
            if not name.endswith("data/0"):
                less.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match="it lacks the numbers of a tensor"):
        read_checkpoint(cut)


@pytest.mark.parametrize("claim", [b"\x8e", b"\x8d", b"\x96"])
def test_a_pickle_that_claims_more_bytes_than_there_can_be_is_damaged(tmp_path, claim):
    (tmp_path / "a.pt").write_bytes(b"\x80\x02" + claim + (1 << 60).to_bytes(8, "little") + b"abc.")
    with pytest.raises(ValueError, match="expected"):
        read_checkpoint(tmp_path / "a.pt")
