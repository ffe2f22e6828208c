"""A GPU that is busy, full, broken or gone: an error says what to do, or the CPU goes on; no result is lost or wrong.

Without a GPU, these errors of torch are raised in its place.
"""

import numpy as np
import pytest
import torch
from conftest import Files, refused

import core.encoding.encoder
import core.encoding.steppers
from core.assets import AssetError
from core.encoding.device_errors import device_error, is_device_error, is_out_of_memory, told_for_people
from core.encoding.steppers import compiled_steps_work
from core.encoding.weights import choose_dtype

LATER = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call.\nCompile with `TORCH_USE_CUDA_DSA`"
)
FAILURES = {
    "CUDA error: all CUDA-capable devices are busy or unavailable" + LATER: "wait until",
    "CUDA error: no kernel image is available for execution on the device" + LATER: "install a torch",
    "CUDA error: initialization error" + LATER: "nvidia-smi",
    "No CUDA GPUs are available": "nvidia-smi",
    "CUDA driver initialization failed, you might not have a CUDA gpu.": "nvidia-smi",
    "Found no NVIDIA driver on your system.": "nvidia-smi",
    "CUDA error: unspecified launch failure" + LATER: "start again",
    "CUDA error: device-side assert triggered" + LATER: "start again",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`": "start again",
}
LOST = "CUDA error: unspecified launch failure" + LATER
FULL = ["CUDA error: out of memory" + LATER, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"]


@pytest.mark.parametrize("message", FAILURES)
def test_a_failure_of_a_gpu_is_one_line_and_says_what_to_do(message):
    with pytest.raises(AssetError) as caught, told_for_people("cuda"):
        raise RuntimeError(message)
    assert caught.value.found == f"the GPU cannot be used: {message.splitlines()[0]}"
    assert FAILURES[message] in caught.value.advice
    assert "--device cpu" in caught.value.advice


def test_too_little_memory_is_told_from_other_errors():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert all(is_out_of_memory(RuntimeError(message)) for message in FULL)
    assert not any(is_out_of_memory(RuntimeError(message)) for message in FAILURES)
    assert device_error("cuda", RuntimeError(FULL[0])).found == "out of memory"


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("CUDA")])
def test_a_mistake_of_the_program_stays_one(error):
    assert not is_device_error(error)
    with pytest.raises(type(error)), told_for_people("cuda"):
        raise error


def failing(monkeypatch, name: str, message: str = LOST, *, after: int = 0) -> None:
    """Let a function of a module raise an error, after so many calls that succeed."""
    module, _, function = name.rpartition(".")
    owner = getattr(core.encoding, module)
    whole, calls = getattr(owner, function), []

    def fail(*args, **how):
        calls.append(1)
        if len(calls) > after:
            raise RuntimeError(message)
        return whole(*args, **how)

    monkeypatch.setattr(owner, function, fail)


def test_chunks_that_were_finished_before_a_gpu_was_lost_are_kept(files: Files, monkeypatch, tmp_path):
    monkeypatch.setattr("core.encoding.building.CHUNK", 64)
    with monkeypatch.context() as lost:
        failing(lost, "encoder.pool", after=5)  # two directions a chunk
        with pytest.raises(AssetError, match="unspecified launch failure"):
            files.explorer()
    resumed = files.explorer().opened
    assert 0 < resumed.report.resumed_rows < 300
    whole = Files(**vars(files) | {"cache": tmp_path / "other"}).explorer().opened
    np.testing.assert_array_equal(resumed.matrix.rows, whole.matrix.rows)


@pytest.mark.parametrize("message", [LOST, FULL[0]])
def test_weights_that_a_gpu_cannot_take_are_an_error_of_the_device(run, files: Files, monkeypatch, message):
    def fail(*args):
        raise RuntimeError(message)

    monkeypatch.setattr("core.encoding.pooling.Direction.read", fail)
    assert refused(run("search", "a dog", *files.flags), "what to do:")


def test_a_query_that_a_lost_gpu_cannot_encode_is_refused_and_captions_are_still_found(files: Files, monkeypatch):
    explorer = files.explorer()

    def fail(*args):
        raise RuntimeError(LOST)

    monkeypatch.setattr("core.encoding.encoder.SentenceEncoder._encode", fail)
    with pytest.raises(AssetError, match="start again"):
        explorer.queries.of_text("a dog")
    assert explorer.neighbours(5).found.leading.rows[0] == 5


def test_a_gpu_that_cannot_tell_what_it_is_is_refused(monkeypatch):
    def fail(*args):
        raise RuntimeError("CUDA error: initialization error")

    monkeypatch.setattr("torch.cuda.get_device_capability", fail)
    with pytest.raises(AssetError, match="nvidia-smi"):
        choose_dtype("auto", "cuda")


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_lost_gpu_is_not_taken_for_a_missing_compiler(monkeypatch, is_alive):
    def fail(*args, **how):
        raise RuntimeError(LOST)

    monkeypatch.setattr(core.encoding.steppers, "_compiled_stepper", fail)
    if not is_alive:
        monkeypatch.setattr(torch, "zeros", fail)
    ask = compiled_steps_work.__wrapped__
    if is_alive:
        assert not ask("cpu", torch.float32)
    else:
        with pytest.raises(RuntimeError, match="launch failure"):
            ask("cpu", torch.float32)
