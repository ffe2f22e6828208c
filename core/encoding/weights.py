"""Weights: read the encoder's state dict, and choose the device and dtype of the encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import NamedTuple

import torch

from core.assets import DEVICE_NAMES, AssetError, first_names, is_device_name
from core.encoding.checkpoints import TOO_LARGE, read_checkpoint
from core.encoding.device_errors import told_for_people
from core.encoding.pickles import Named
from core.encoding.processor import multiplies_bfloat16
from core.store.pages import is_page

KEYS = [
    f"enc_lstm.{kind}_l0{direction}"
    for direction in ("", "_reverse")
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
]
"""Tensor names of the two LSTM directions, in torch's layout."""

_EXPECTED = "InferSent's state dict: enc_lstm.weight_ih_l0 and the seven others of one layer in two directions"
_DOWNLOAD = "download it again: infersent-tui fetch infersent2"
_ADVICE = "name InferSent's weights with --model; the official ones: infersent-tui fetch infersent2"
_OTHER_ENCODER = "this is another encoder, and without these tensors its embeddings would be wrong: name other weights"
_OTHER_CELLS = {3: "a GRU", 1: "a plain RNN"}  # by the number of gates
_NO_PART = re.compile(r"(classifier|cls|head|fc\d*|criterion|loss|optim\w*|decoder)(\.|$)")
_WRAPPER = re.compile(r"(^|\.)(module|model|net|_orig_mod)\.$")  # holds a whole model, not an encoder alone
_MEANINGS = (  # what a tensor beside the eight means
    (r"_l[1-9]\d*(_reverse)?$", "a second layer"),
    (r"weight_hr", "a projection of the LSTM's states"),
    (r"proj", "a projection"),
    (r"att|query|key|value", "attention"),
    (r"conv", "convolutions"),
    (r"emb", "word vectors of its own"),
    (r"", "another part of an encoder"),
)


def choose_device(name: str) -> str:
    """Resolve `auto` to the best available device.

    Raises:
        AssetError: The name is not a device name, or the device is not available.
    """
    if not is_device_name(name):
        raise AssetError(f"--device {name}", "there is no such device", expected=f"one of {DEVICE_NAMES}")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise AssetError(f"--device {name}", "torch sees no CUDA device here", advice="use --device cpu or auto")
    if name.startswith("cuda:") and int(name[5:]) >= torch.cuda.device_count():
        found = f"torch sees {torch.cuda.device_count()} CUDA devices here, counted from 0"
        raise AssetError(f"--device {name}", found, advice="use --device cuda or auto")
    return name


def choose_dtype(name: str, device: str) -> str:
    """Resolve `auto` to bfloat16 if the device supports it in hardware, else to float32.

    Raises:
        AssetError: The device cannot be used.
    """
    if name != "auto":
        return name
    is_cuda = device.startswith("cuda")
    with told_for_people(device):
        fast = torch.cuda.get_device_capability(device)[0] >= 8 if is_cuda else multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


class Weights(NamedTuple):
    """The tensors of the encoder, and what else the file holds."""

    tensors: dict[str, torch.Tensor]
    """The eight tensors by `KEYS`."""
    passed_over: tuple[str, ...]
    """Names of what is no part of the encoder: a classifier, an optimizer's state."""

    @property
    def word_dim(self) -> int:
        """E, the width of the word vectors."""
        return int(self.tensors[KEYS[0]].shape[1])

    @property
    def dim(self) -> int:
        """D, the width of an embedding."""
        return int(self.tensors[KEYS[0]].shape[0]) // 2


def read_weights(path: Path) -> Weights:
    """Read a state dict: a pickle of tensors as torch writes it, legacy or zip, or a safetensors file.

    The names may have a prefix such as `module.encoder.`, and the state dict may be one level down, under any name.
    A classifier and other parts of a training are passed over.

    Raises:
        AssetError: The file is missing, damaged or something else, its keys, shapes or values are wrong, or it holds
            other tensors, since an encoder without them would give wrong embeddings.
    """
    loaded = _load(path)
    if not isinstance(loaded, dict):
        kind = loaded.name if isinstance(loaded, Named) else type(loaded).__name__
        raise AssetError(path, f"holds a {kind}", expected=_EXPECTED, advice=_ADVICE)
    state, beside = _state_dict(loaded, path)
    prefixes = sorted({key.removesuffix(KEYS[0]) for key in state if f".{key}".endswith(f".{KEYS[0]}")})
    if len(prefixes) > 1:
        found = f"holds {len(prefixes)} encoders: {first_names([prefix or KEYS[0] for prefix in prefixes])}"
        raise AssetError(path, found, expected=_EXPECTED, advice="save the state dict of one of them")
    prefix = prefixes[0] if prefixes else ""
    tensors = {key: state.get(prefix + key) for key in KEYS}
    for key, value in tensors.items():
        if isinstance(value, Named):
            found = f"{key} is no array of numbers with a fraction ({value.name})"
            raise AssetError(path, found, expected="float32 or float16", advice=_ADVICE)
    missing = [key for key, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if missing:
        raise _lacking(missing, state, path)
    own = {prefix + known for known in KEYS}
    others = [key for key in state if key not in own]
    levels = [dot.end() for dot in re.finditer(r"^|\.", prefix)]
    if prefix and not _WRAPPER.search(prefix):
        levels.pop()  # a head beside the LSTM, within the encoder, is a part of it
    named = [key for key in others if not _is_no_part(key, prefix, levels)]
    if foreign := [key for key in named if isinstance(state[key], torch.Tensor)]:
        meaning = next(text for pattern, text in _MEANINGS if re.search(pattern, foreign[0]))
        found = f"holds {first_names(foreign)} beside the encoder's tensors"
        raise AssetError(path, f"{found}: {meaning}", expected=_EXPECTED, advice=_OTHER_ENCODER)
    checked = {key: value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    _check(checked, path)
    return Weights(checked, tuple(beside + others))


def _is_no_part(key: str, prefix: str, levels: Sequence[int]) -> bool:
    """Tell whether a name is that of a part of a training, at one of the places where a level of the prefix ends."""
    shared = sum(takewhile(bool, map(eq, key, prefix)))  # characters
    return any(_NO_PART.match(key, level) for level in levels if level <= shared)


def untrained(weights: Weights) -> Weights:
    """Return weights of the same shapes that nobody has trained: always the same, drawn as torch does for a new LSTM.

    Such an encoder shows how much of an embedding is word vectors, recurrence and pooling alone (Wieting and Kiela
    2019, No Training Required).
    """
    draw = torch.Generator().manual_seed(0)
    bound = float(weights.tensors["enc_lstm.weight_hh_l0"].shape[1]) ** -0.5
    drawn = {key: torch.empty(weights.tensors[key].shape).uniform_(-bound, bound, generator=draw) for key in KEYS}
    return Weights(drawn, ())


def _load(path: Path) -> object:
    """Read the file's object, without running code of it."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    if not start.strip():
        raise AssetError(path, "the file is empty", expected=_EXPECTED, advice=_DOWNLOAD)
    if is_page(start):
        raise AssetError(path, "an HTML or XML page, not weights: the download failed", advice=_DOWNLOAD)
    if start.startswith(b"\x1f\x8b"):
        raise AssetError(path, "packed with gzip", expected=_EXPECTED, advice=f"unpack it: gunzip {path.name}")
    try:
        if start[8:9] == b"{":
            from safetensors.torch import load

            return load(path.read_bytes())  # a mapped file would change the weights when it is written again
        return read_checkpoint(path)
    except AssetError:
        raise
    except Exception as error:  # a damaged file can raise any exception
        found, message = "damaged, or not a state dict", str(error).split("\n")[0].split(". ")[0]
        if re.search("[a-z]{2} [a-z]", message):  # what a reader says to people, not the key that it lacks
            found += f" ({message})"
        advice = "save it with torch.save, or copy it again; official weights: infersent-tui fetch infersent2"
        raise AssetError.from_reader(path, error, found, expected=_EXPECTED, advice=advice) from error


def _state_dict(loaded: dict[str, object], path: Path) -> tuple[dict[str, object], list[str]]:
    """Return the state dict, which may lie one level down, and the names of what lies beside it there.

    Raises:
        AssetError: Several state dicts have the encoder's tensors.
    """
    if any(key.endswith(KEYS[0]) for key in loaded):
        return loaded, []
    first = {id(value): name for name, value in reversed(loaded.items())}  # a pickle may name one dict very often
    inner = {name: each for name, each in loaded.items() if isinstance(each, dict) and first[id(each)] == name}
    holding = [name for name, state in inner.items() if any(key.endswith(KEYS[0]) for key in state)]
    if len(holding) > 1:
        advice = f'save the right one: torch.save(torch.load(FILE)["{holding[0]}"], NEW)'
        found = f"holds an encoder under {' and '.join(holding)}"
        raise AssetError(path, found, expected=_EXPECTED, advice=advice)
    tensors = [name for name, state in inner.items() if any(isinstance(each, torch.Tensor) for each in state.values())]
    for name in [*holding, *tensors][:1]:
        return inner[name], [key for key in loaded if key != name]
    return loaded, []


def _lacking(missing: Sequence[str], state: dict[str, object], path: Path) -> AssetError:
    """Describe a state dict without the encoder's tensors: what is missing and what is there instead."""
    shapes = {key: tuple(value.shape) for key, value in state.items() if isinstance(value, torch.Tensor)}
    there = first_names([f"{key} {shape}" for key, shape in shapes.items()])
    recurrent = [shape for key, shape in shapes.items() if re.search(r"weight_hh_l0$", key) and len(shape) == 2]
    gates = {rows // columns for rows, columns in recurrent if columns}
    found = f"lacks {missing[0]}; holds {there or 'no tensors'}"
    if len(missing) < len(KEYS) and all("_reverse" in key for key in missing):
        found += ": an LSTM of one direction"
    elif len(gates) == 1 and (cell := _OTHER_CELLS.get(*gates)):
        found += f": {cell}, not an LSTM"
    elif gates == {4}:
        return AssetError(path, found, expected=_EXPECTED, advice="if this is such an LSTM, rename its tensors")
    return AssetError(path, found, expected=_EXPECTED, advice=_ADVICE)


def _check(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Check shapes and values."""
    rows, dim = (*tensors[KEYS[0]].shape, 0, 0)[:2]  # padded for lower ranks: the shape check below reports them
    hidden = rows // 4
    shapes = {"weight_ih": (4 * hidden, dim), "weight_hh": (4 * hidden, hidden), "bias_ih": (4 * hidden,)}
    shapes["bias_hh"] = shapes["bias_ih"]
    states, width = (*tensors[KEYS[1]].shape, 0, 0)[:2]
    if width and states % width == 0 and (cell := _OTHER_CELLS.get(states // width)):
        raise AssetError(
            path, f"{KEYS[1]} is {(states, width)}: {cell}, not an LSTM", expected=_EXPECTED, advice=_ADVICE
        )
    for key, tensor in tensors.items():
        shape = shapes[key.removeprefix("enc_lstm.").split("_l0")[0]]
        if tuple(tensor.shape) != shape:
            found = f"{key} is {tuple(tensor.shape)}"
            raise AssetError(path, found, expected=f"{shape}, to match the other tensors", advice=_ADVICE)
        if not tensor.is_floating_point():
            found = f"{key} is no array of numbers with a fraction ({tensor.dtype})"
            raise AssetError(path, found, expected="float32 or float16", advice=_ADVICE)
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > path.stat().st_size:  # numbers that stand for many
        raise AssetError(path, f"its tensors claim {claimed:,} bytes: {TOO_LARGE}", expected=_EXPECTED, advice=_ADVICE)
    for key, tensor in tensors.items():
        numbers = tensor.float()
        if not numbers.isfinite().all():
            raise AssetError(path, f"{key} holds numbers that are not finite", advice=_ADVICE)
        if "weight" in key and not numbers.any():
            raise AssetError(path, f"{key} holds nothing but zeros", advice=_ADVICE)
