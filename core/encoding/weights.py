"""Weights: read the encoder's state dict, and choose the device and dtype of the encoder."""

from __future__ import annotations

from pathlib import Path

import torch

from core.assets import ADDRESSES, DEVICE_NAMES, AssetError, is_device_name
from core.encoding.processor import multiplies_bfloat16

KEYS = [
    f"enc_lstm.{kind}_l0{direction}"
    for direction in ("", "_reverse")
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
]
"""Tensor names of the two LSTM directions, in torch's layout."""


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
    """Resolve `auto` to bfloat16 if the device supports it in hardware, else to float32."""
    if name != "auto":
        return name
    is_cuda = device.startswith("cuda")
    fast = torch.cuda.get_device_capability(device)[0] >= 8 if is_cuda else multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict in the official format, a legacy or zip pickle of tensors, and check keys, shapes and values.

    Raises:
        AssetError: The file is missing, damaged or something else, or its keys, shapes or values are wrong.
    """
    expected = "InferSent's state dict, a pickle of tensors"
    advice = f"download it again: {ADDRESSES['weights']}"
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except OSError as error:
        raise AssetError.from_os_error(path, error) from error
    if not start:
        raise AssetError(path, "the file is empty", expected=expected, advice=advice)
    if start[:1] == b"<":
        raise AssetError(path, "an HTML or XML page, not weights: the download failed", advice=advice)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise any exception
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(path, f"damaged, or not a state dict ({reason})", expected=expected, advice=advice) from error
    if not isinstance(loaded, dict):
        raise AssetError(path, f"holds a {type(loaded).__name__}", expected=expected, advice=advice)
    weights = {str(key).removeprefix("encoder."): value for key, value in loaded.items()}
    if missing := [key for key in KEYS if not isinstance(weights.get(key), torch.Tensor)]:
        raise AssetError(path, f"lacks {', '.join(missing[:3])}", expected=expected, advice=advice)
    rows, dim = (*weights[KEYS[0]].shape, 0, 0)[:2]  # padded for lower ranks: the shape check below reports them
    hidden = rows // 4
    shapes = {"weight_ih": (4 * hidden, dim), "weight_hh": (4 * hidden, hidden), "bias_ih": (4 * hidden,)}
    shapes["bias_hh"] = shapes["bias_ih"]
    for key in KEYS:
        shape = shapes[key.removeprefix("enc_lstm.").split("_l0")[0]]
        found = tuple(weights[key].shape)
        if found != shape:
            raise AssetError(path, f"{key} is {found}", expected=f"{shape}, to match the other weights", advice=advice)
        if not weights[key].isfinite().all():
            raise AssetError(path, f"{key} holds numbers that are not finite", advice=advice)
        if "weight" in key and not weights[key].any():
            raise AssetError(path, f"{key} holds nothing but zeros", advice=advice)
    return weights
