"""Ray cluster: joins one, and has its machines do what is to be done with parts."""

from __future__ import annotations

import io
import json
import logging
import os
import queue
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Any

from core.assets import AssetError
from core.cluster.connection import EXTRA
from core.cluster.parts import Part
from core.cluster.workers import Encode, Job, Report, read
from core.encoding.weights import choose_dtype

_OPTION = "--ray"
_RETRIES = 3  # of a part whose process was lost
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 120.0
_POLL_SECONDS = 1.0
_LOST_SECONDS = 30.0  # less than the minute after which Ray ends the process
_AT_ONCE = 2  # parts that a process has, so that it need not wait for the next one
_ENCODING, _READING = 0.75, 0.25  # shares of a processor, where there are no GPUs
_VARIABLES = {
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # what answers but is no cluster is given up after 40 seconds
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_LOCAL = ("auto", "local")


class _LastError(logging.Handler):
    """Keeps the last error that Ray logs, in place of printing it."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error."""
        error = record.exc_info[1] if record.exc_info else None
        self.text = record.getMessage() if error is None else _told(error)


class RayCluster:
    """A cluster that was joined. Each of its processes that encode has a GPU, where there are any."""

    def __init__(self, address: str, device: str, dtype: str) -> None:
        import ray

        self._address = address
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        if device == "cuda" and not gpus:
            raise AssetError(f"--device {device}", "no machine of the cluster has a GPU", advice="use --device auto")
        self.device = "cuda" if gpus and device != "cpu" else "cpu"
        """`cuda` or `cpu`."""
        self._size = gpus if self.device == "cuda" else max(1, int(resources.get("CPU", 0)))
        self.dtype: str = self._ask(choose_dtype, dtype, self.device)
        """What a machine of the cluster chooses for `auto`."""
        self.is_lost = False
        """Whether it does not answer any more."""
        self._head, self._answered = ray.get_runtime_context().gcs_address, time.monotonic()
        self._machines: set[str] = set()
        self._errors = _LastError(logging.ERROR)
        logger = logging.getLogger("ray.data")
        logger.handlers = [each for each in logger.handlers if not isinstance(each, logging.StreamHandler)]
        logger.addHandler(self._errors)

    @property
    def last_error(self) -> str:
        """What ended the processes of a part that has no report; empty where nothing did."""
        return self._errors.text

    @property
    def _share(self) -> dict[str, float]:
        return {"num_gpus": 1} if self.device == "cuda" else {"num_cpus": _ENCODING}

    def _ask(self, function: Any, *values: Any) -> Any:
        """Call a function on some machine of the cluster."""
        import ray

        try:
            return ray.get(ray.remote(function).options(**self._share).remote(*values), timeout=_ANSWER_SECONDS)
        except ray.exceptions.GetTimeoutError as error:
            found = f"no {'GPU' if self.device == 'cuda' else 'processor'} of it was free within two minutes"
            advice = "wait until other work has ended, or add machines"
            raise AssetError(f"{_OPTION} {self._address}", found, advice=advice) from error
        except ray.exceptions.RayError as error:
            raise self._error(error) from error

    def machines(self) -> set[str]:
        """Return the machines of the cluster that are there, or were when it last answered.

        Raises:
            AssetError: It has not answered for a while.
        """
        import ray

        if self._answers():  # else Ray waits for it, and ends this process after a minute
            there = [node for node in ray.nodes() if node["Alive"]]
            self._machines = {f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})" for node in there}
        return self._machines

    def _answers(self) -> bool:
        try:
            _connect(self._head)
        except OSError as error:
            if time.monotonic() - self._answered < _LOST_SECONDS:
                return False
            self.is_lost = True
            advice = "start it again, then do it again; what is finished is kept"
            raise AssetError(f"{_OPTION} {self._address}", f"was lost ({error})", advice=advice) from error
        self._answered = time.monotonic()
        return True

    def work_on(self, parts: Sequence[Part], job: Job) -> Iterator[Report | None]:
        """Have parts read, encoded and written; yield what was done with each, in any order, and None once a second.

        A part whose process is lost is given to others. One whose processes are lost again and again has no report.

        Raises:
            AssetError: The cluster is lost.
        """
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1  # any number of parts may fail
        rows = [{"part": json.dumps(asdict(part))} for part in parts]
        dataset = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map(read, fn_kwargs={"job": job}, num_cpus=1 if self.device == "cuda" else _READING)
            .map(
                Encode,
                fn_constructor_args=[job],
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=self._size, max_tasks_in_flight_per_actor=_AT_ONCE
                ),
                **{"max_restarts": -1, "max_task_retries": _RETRIES, **self._share},
            )
        )
        done: queue.Queue[str | Exception | None] = queue.Queue()

        def collect() -> None:
            try:
                for batch in dataset.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
                    for text in batch["report"].to_pylist():
                        done.put(text)
                done.put(None)
            except Exception as error:
                done.put(error)

        threading.Thread(target=collect, daemon=True).start()
        while True:
            try:
                report = done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                yield None
                continue
            if report is None:
                return
            if isinstance(report, Exception):
                raise self._error(report)
            yield Report.of_json(report)

    def _error(self, error: Exception) -> AssetError:
        advice = "see that its machines are up, then do it again"
        if "ModuleNotFoundError" in str(error):
            advice = f"install the same version of this program on all of its machines: {EXTRA}"
        return AssetError(f"{_OPTION} {self._address}", f"failed ({_told(error)})", advice=advice)


@contextmanager
def joined(address: str, device: str, dtype: str) -> Iterator[RayCluster]:
    """Join a cluster for a while.

    Args:
        address: HOST:PORT; `auto` for the cluster of this machine, `local` for one of this machine alone.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto`, `float32` or `bfloat16`.

    Raises:
        AssetError: Ray is not installed; the cluster does not answer, or is of another version, or is lost.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        found = "needs ray[data], which is not installed"
        raise AssetError(_OPTION, found, advice=f"install it: {EXTRA}") from error
    _check_answer(address)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # Ray writes there what happens to its processes
        warnings.simplefilter("ignore")
        try:
            with _no_stderr(), _signals_kept():  # of its C++ code
                ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            advice = "name a running cluster of which this machine is one: HOST:PORT, as `ray start --head` printed it"
            advice += "; if it asks for a token, set RAY_AUTH_MODE=token, and have its ~/.ray/auth_token here"
            if "mismatch" in str(error):
                advice = "use the same versions of Python and Ray on all machines"
            raise AssetError(f"{_OPTION} {address}", f"cannot be joined ({_told(error)})", advice=advice) from error
        cluster = None
        try:
            cluster = RayCluster(address, device, dtype)
            yield cluster
        finally:
            if cluster is None or not cluster.is_lost:  # else Ray would end this process before it is told
                ray.shutdown()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Discard what is written to the file of standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Let the signals that end this program do what they did before, which Ray changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _check_answer(address: str) -> None:
    """Raise `AssetError` if nothing answers at HOST:PORT, which Ray would try for minutes."""
    if address in _LOCAL:
        return
    host, _, port = address.rpartition(":")
    if "://" in address:
        advice = f"run this on a machine of the cluster, with {_OPTION} HOST:PORT, as `ray start --head` printed it"
        raise AssetError(f"{_OPTION} {address}", "is an address for machines outside of a cluster", advice=advice)
    if not host or not port.isdecimal():
        advice = f"{_OPTION} HOST:PORT, as `ray start --head` printed it; `auto` or `local` for this machine"
        raise AssetError(f"{_OPTION} {address}", "is no address of a cluster", advice=advice)
    try:
        _connect(address)
    except (OSError, OverflowError) as error:
        advice = "start one there (`ray start --head`), or check the address and the network"
        raise AssetError(f"{_OPTION} {address}", f"no cluster answers ({error})", advice=advice) from error


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


def _told(error: BaseException) -> str:
    """Return the last line of what Ray says of an error, which names its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
