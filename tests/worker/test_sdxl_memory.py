"""Running out of memory: less each time, and in the end a job that others can take."""

import signal
from collections.abc import Iterator

import pytest
import torch

from models.errors import EngineFailed
from worker.engines.sdxl_memory import Ladder


def lacking() -> str:
    raise torch.OutOfMemoryError("no room")


@pytest.fixture
def told_to_stop() -> Iterator[list[int]]:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    yield told
    signal.signal(signal.SIGTERM, before)


def test_the_first_way_that_fits_is_taken() -> None:
    assert Ladder().first_that_fits([lacking, lambda: "small", lambda: "smallest"]) == "small"


def test_when_none_fits_the_job_may_be_tried_elsewhere(told_to_stop: list[int]) -> None:
    with pytest.raises(EngineFailed) as raised:
        Ladder().first_that_fits([lacking, lacking])
    assert raised.value.retryable
    assert told_to_stop == []


def test_two_such_jobs_in_a_row_stop_the_worker(told_to_stop: list[int]) -> None:
    ladder = Ladder()
    for _ in range(2):
        with pytest.raises(EngineFailed):
            ladder.first_that_fits([lacking])
    assert told_to_stop == [signal.SIGTERM]


def test_a_job_that_fits_in_between_makes_good(told_to_stop: list[int]) -> None:
    ladder = Ladder()
    for way in (lacking, lambda: "fits", lacking):
        try:
            ladder.first_that_fits([way])
        except EngineFailed:
            continue
    assert told_to_stop == []


@pytest.mark.parametrize(
    "message",
    [
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory",
    ],
)
def test_memory_that_a_library_or_the_driver_lacks_is_memory(message: str) -> None:
    def lacking() -> str:
        raise RuntimeError(message)

    assert Ladder().first_that_fits([lacking, lambda: "small"]) == "small"


def test_a_card_that_failed_stops_the_worker_at_once(told_to_stop: list[int]) -> None:
    def faulty() -> str:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(EngineFailed) as raised:
        Ladder().first_that_fits([faulty, lambda: "never"])
    assert raised.value.retryable
    assert told_to_stop == [signal.SIGTERM]


def test_other_errors_pass_through(told_to_stop: list[int]) -> None:
    def cancelled() -> str:
        raise KeyError("cancelled")

    def mistaken() -> str:
        raise RuntimeError("shapes do not match")

    for way, error in ((cancelled, KeyError), (mistaken, RuntimeError)):
        with pytest.raises(error):
            Ladder().first_that_fits([way, lambda: "never"])
    assert told_to_stop == []
