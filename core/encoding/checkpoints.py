"""Checkpoints: read what `torch.save` wrote without running code of it, in no more memory than the file has bytes."""

from __future__ import annotations

import re
import zipfile
from io import BufferedIOBase, BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, Final, cast

import torch

from core.assets import AssetError
from core.corpus.text_files import refuse_packing
from core.encoding.pickles import Named, Unpickler, put

TOO_LARGE: Final = "more than the file has, which is damaged or made to exhaust the memory"

_EXPECTED = "a state dict, as torch.save writes it"
_SAVE_ALONE = "where it can be loaded, save the state dict alone: torch.save(model.state_dict(), FILE)"
_MAGIC_NUMBER, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the format that is no archive
_MOST_TENSORS = 10_000  # each takes 600 bytes of memory beside its numbers
_MOST_DIMENSIONS = 8
_LARGEST = 1 << 62
_HARMLESS = re.compile(  # names in the parts of a training, which are passed over
    r"collections\.\w+|_codecs\.encode|(builtins|__builtin__)\.(set|frozenset|complex|bytearray)"
    r"|numpy\.(dtype|ndarray|_?core\.multiarray\.(scalar|_reconstruct))"
    r"|torch\.(Size|device|bool|[a-z]+\d\w*|(cuda\.|storage\.)?\w+Storage|_utils\._rebuild_\w+|nn\.parameter\.\w+)"
    r"|torch\.(_tensor\._rebuild_\w+|serialization\._get_layout)"
)
_DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
"""The kinds of numbers by the names of their storages, less `Storage`."""


def read_checkpoint(path: Path) -> object:
    """Read the object in a file that `torch.save` wrote, in either of its formats.

    Beside the tensors, it takes 300 MB of memory at most.

    Returns:
        What an `Unpickler` makes, and tensors.

    Raises:
        AssetError: Loading it could run code or exhaust the memory, or it is a TorchScript archive.
        Exception: It is damaged, or was not written by `torch.save`.
    """
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        return _read_archive(path, file) if is_archive else _read_sequence(path, file)


def _read_sequence(path: Path, file: BufferedReader) -> object:
    """Read the older format: five pickles, then the numbers of each storage behind their count."""
    storages = _Storages(path)
    if storages.unpickle(file) != _MAGIC_NUMBER or storages.unpickle(file) != _PROTOCOL:
        raise ValueError("it was not written by torch.save")
    about, loaded, keys = (storages.unpickle(file) for _ in range(3))
    _check_order(not isinstance(about, dict) or about.get("little_endian") is not False)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("it names numbers by what is no text")
    if sorted(keys) != sorted(storages.numbers):
        raise ValueError("it lacks the numbers of a tensor")
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        storages.fill(key, file, size=count * storages.numbers[key].itemsize)
    return loaded


def _read_archive(path: Path, file: IO[bytes]) -> object:
    """Read the newer format: a zip archive with a pickle, and a member for each storage."""
    storages = _Storages(path)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > path.stat().st_size:  # torch packs nothing
            raise _refused(path, f"an archive that unpacks to {unpacked:,} bytes: {TOO_LARGE}")
        for member in members.values():
            refuse_packing(path, member)
            if Path(member.filename).name == "constants.pkl":
                advice = "save its state dict: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
                raise _refused(path, "a TorchScript archive", advice=advice)
        pickled = next((name for name in members if re.fullmatch(r"[^/]+/data\.pkl", name)), "")
        if not pickled:
            raise ValueError("an archive without a data.pkl, as torch.save writes it")
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        _check_order(order not in members or archive.read(order).strip() == b"little")
        loaded = storages.unpickle(BytesIO(archive.read(pickled)))
        for key in storages.numbers:
            if (stored := members.get(f"{folder}data/{key}")) is None:
                raise ValueError("it lacks the numbers of a tensor")
            with cast(BufferedIOBase, archive.open(stored)) as numbers:
                storages.fill(key, numbers, size=stored.file_size)
    return loaded


class _Storages:
    """The numbers of the tensors: first the memory that a pickle claims, at most that of the file, then its bytes."""

    def __init__(self, path: Path) -> None:
        self.numbers: dict[str, torch.Tensor] = {}
        """Of each storage by its name, (N,)."""
        self._path = path
        self._bytes_left, self._tensors_left = path.stat().st_size, _MOST_TENSORS
        self._unpickler = Unpickler(
            named=self._check_name,
            persistent=self._claim,
            made={
                "collections.OrderedDict": _ordered_dict,
                "torch.Size": lambda sizes=(): sizes,
                "torch.nn.parameter.Parameter": lambda tensor, *_: tensor,
                "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
                "torch._utils._rebuild_tensor": self._view,
                "torch._utils._rebuild_tensor_v2": self._view,
            },
        )

    def unpickle(self, file: IO[bytes]) -> object:
        """Return the object of the pickle at the file's place, whose tensors are to be filled."""
        return self._unpickler.load(file)

    def fill(self, key: str, file: BufferedIOBase, *, size: int) -> None:
        """Read the bytes of a storage, of which the file says that there are so many."""
        left = self.numbers[key].view(torch.uint8).numpy().data
        if size != len(left):
            raise ValueError(f"the numbers under {key} are too few or too many")
        while left and (count := file.readinto(left)):
            left = left[count:]
        if left:
            raise ValueError(f"the numbers under {key} are cut off")

    def _check_name(self, name: str) -> None:
        if not _HARMLESS.fullmatch(name):
            raise _refused(self._path, f"a pickle that holds a {name}, not only tensors; loading it could run code")

    def _claim(self, identity: object) -> torch.Tensor:
        """Return the numbers, (N,), that a pickle identifies by `("storage", kind, key, device, N)`."""
        match identity:
            case ("storage", Named(kind), str(key), _, int(count), *rest) if count >= 0 and rest in ([], [None]):
                dtype = _DTYPES[kind.rpartition(".")[2].removesuffix("Storage")]
            case _:
                raise ValueError("its pickle names what is no storage of a tensor")
        if key not in self.numbers:
            size = count * dtype.itemsize
            if size > self._bytes_left:
                raise _refused(self._path, f"its tensors claim at least {size:,} bytes: {TOO_LARGE}")
            self._bytes_left -= size
            self.numbers[key] = torch.empty(count, dtype=dtype)
        found = self.numbers[key]
        if (len(found), found.dtype) != (count, dtype):
            raise ValueError(f"its tensors disagree about what is under {key}")
        return found

    def _view(self, storage: Any, offset: Any, sizes: Any, strides: Any, *_: object) -> torch.Tensor:
        """Return the tensor that lies in a storage."""
        self._tensors_left -= 1
        is_shape = isinstance(sizes, tuple) and isinstance(strides, tuple) and len(sizes) <= _MOST_DIMENSIONS
        if not is_shape or not all(
            isinstance(each, int) and 0 <= each < _LARGEST for each in (offset, *sizes, *strides)
        ):
            raise ValueError("a tensor of it has no shape")
        if self._tensors_left < 0:
            raise ValueError("it has too many tensors: save the state dict alone")
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if 0 in sizes:
            last = -1
        if not isinstance(storage, torch.Tensor) or last >= len(storage):
            raise _refused(self._path, f"its tensors claim {TOO_LARGE}")
        return storage.as_strided(sizes, strides, offset if last >= 0 else 0)


def _ordered_dict(pairs: object = (), *_: object) -> dict[str, Any]:
    """Make a dict of a list of pairs, which is emptied: a list that is taken again makes nothing more."""
    made: dict[str, Any] = {}
    if isinstance(pairs, list):
        put(made, ((pair[0], pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2))
        pairs.clear()
    return made


def _check_order(is_little: bool) -> None:
    if not is_little:
        raise ValueError("its numbers are in the byte order of other processors")


def _refused(path: Path, found: str, *, advice: str = _SAVE_ALONE) -> AssetError:
    return AssetError(path, found, expected=_EXPECTED, advice=advice)
