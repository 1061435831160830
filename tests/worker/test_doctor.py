"""`python -m worker.doctor` and a worker that lacks its weights, as real processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.settings import ROOT
from worker import doctor


def asked(module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_machine_that_can_work_is_well(migrated: str) -> None:
    answer = asked("worker.doctor", DATABASE_URL=migrated)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    names = [line.split()[1] for line in answer.stdout.splitlines()]
    assert names == ["storage", "database", "clock", "render"]


def test_missing_weights_are_found_and_the_rest_is_looked_at_all_the_same(
    migrated: str, tmp_path: Path
) -> None:
    answer = asked(
        "worker.doctor",
        DATABASE_URL=migrated,
        FINAL_ENGINE="sdxl_inpaint",
        WEIGHTS_DIR=str(tmp_path),
    )
    assert answer.returncode == 1
    assert "python -m worker.weights pull sdxl-base" in answer.stdout
    assert "ok    render drape" in answer.stdout
    assert "FAIL  render sdxl_inpaint" in answer.stdout


def test_a_worker_without_its_weights_does_not_start(migrated: str, tmp_path: Path) -> None:
    answer = asked(
        "worker", DATABASE_URL=migrated, GENERATOR_MODE="inpaint", WEIGHTS_DIR=str(tmp_path)
    )
    assert answer.returncode == 1
    assert "sdxl_inpaint cannot start" in answer.stderr
    assert f"into {tmp_path}" in answer.stderr
    assert "python -m worker.weights pull" in answer.stderr


def test_no_gpu_is_a_finding_unless_the_cpu_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(doctor.Unwell, match="no CUDA device"):
        doctor.device()
    assert "no CUDA device: the CPU, float32" in doctor.device(allow_cpu=True)


def test_a_photoreal_engine_is_examined_with_its_device(
    migrated: str, setting: Callable[..., None]
) -> None:
    setting(final_engine="sdxl_inpaint")
    names = [name for name, _ in doctor.examinations()]
    assert names[:2] == ["device", "weights"]


def test_a_clock_that_is_wrong_is_found(
    migrated: str, monkeypatch: pytest.MonkeyPatch, setting: Callable[..., None]
) -> None:
    setting(environment="test")
    monkeypatch.setattr(doctor, "CLOCK_APART_MAX_SECONDS", -1.0)
    with pytest.raises(doctor.Unwell, match="NTP"):
        doctor.clock()
