"""devops/runpod/scale.py: how many pods a queue gets, and what is asked of RunPod for it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from devops.runpod.scale import Limits, Plan, Pod, Queue, needed, plan
from models.settings import ROOT
from tests.devops.runpod_fake import API_KEY, METRICS_TOKEN, RunPodFake

LIMITS = Limits(
    pods_min=0,
    pods_max=4,
    dollars_per_hour_max=10.0,
    dollars_per_pod_hour=0.8,
    jobs_per_pod=4,
    wait_max_seconds=60.0,
    cool_down_seconds=600.0,
    starting_seconds=420.0,
)
EMPTY = Queue(0, 0, 0.0)


def pods(count: int, age_seconds: float = 3600.0, dollars: float = 0.8) -> list[Pod]:
    return [Pod(f"pod{n}", dollars, age_seconds + n) for n in range(count)]


@pytest.mark.parametrize(
    ("jobs", "wanted"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (500, 4)]
)
def test_pods_follow_the_jobs_up_to_the_maximum(jobs: int, wanted: int) -> None:
    assert needed(Queue(jobs, 0, 0.0), [], LIMITS) == wanted
    assert needed(Queue(0, jobs, 0.0), [], LIMITS) == wanted  # running jobs count as well


def test_a_job_that_waits_too_long_asks_for_one_pod_more() -> None:
    assert needed(Queue(1, 4, 61.0), pods(2), LIMITS) == 3
    assert needed(Queue(1, 4, 59.0), pods(2), LIMITS) == 2


def test_while_a_pod_is_starting_a_long_wait_asks_for_no_other() -> None:
    assert needed(Queue(1, 0, 500.0), pods(1, age_seconds=10.0), LIMITS) == 1
    assert needed(Queue(1, 0, 500.0), pods(1, age_seconds=421.0), LIMITS) == 2


def test_some_pods_stay_whatever_the_queue() -> None:
    assert needed(EMPTY, [], replace(LIMITS, pods_min=2)) == 2


@pytest.mark.parametrize(
    ("budget", "there", "wanted"),
    [(0.0, 0, 0), (0.79, 0, 0), (0.8, 0, 1), (2.4, 0, 3), (2.4, 2, 3), (2.3, 2, 2), (0.9, 2, 1)],
)
def test_all_pods_together_never_cost_more_than_the_budget(
    budget: float, there: int, wanted: int
) -> None:
    limits = replace(LIMITS, dollars_per_hour_max=budget, pods_min=1)
    assert needed(Queue(500, 0, 500.0), pods(there), limits) == wanted


def test_an_expensive_pod_leaves_less_for_others() -> None:
    dear = [Pod("dear", 4.0, 3600.0)]
    limits = replace(LIMITS, dollars_per_hour_max=5.0)
    assert needed(Queue(500, 0, 0.0), dear, limits) == 2


def test_it_grows_at_once_by_all_that_is_needed() -> None:
    assert plan(Queue(9, 0, 0.0), [], LIMITS, 0.0, None).start == 3


def test_it_shrinks_by_the_youngest_pod_after_a_quiet_cool_down() -> None:
    quiet = plan(EMPTY, pods(2), LIMITS, 1000.0, None)
    assert (quiet.start, quiet.stop, quiet.quiet_since) == (0, (), 1000.0)
    assert plan(EMPTY, pods(2), LIMITS, 1599.0, 1000.0).stop == ()
    over = plan(EMPTY, pods(2), LIMITS, 1600.0, 1000.0)
    assert over.stop == ("pod0",)
    assert over.quiet_since == 1600.0  # the next one after a cool-down of its own


def test_work_in_between_starts_the_cool_down_anew() -> None:
    busy = plan(Queue(5, 0, 0.0), pods(2), LIMITS, 1500.0, 1000.0)
    assert busy.quiet_since is None
    assert plan(EMPTY, pods(2), LIMITS, 1600.0, busy.quiet_since).stop == ()


def test_above_the_budget_it_does_not_wait_for_a_cool_down() -> None:
    limits = replace(LIMITS, dollars_per_hour_max=1.0)
    assert plan(Queue(500, 0, 0.0), pods(2), limits, 0.0, None).stop == ("pod0",)


def test_no_pod_flaps_under_a_load_that_comes_and_goes() -> None:
    """A job every 5 minutes for a day: one pod starts, and stays."""
    there: list[Pod] = []
    quiet_since: float | None = None
    starts = stops = 0
    for now in range(0, 24 * 3600, 15):
        queue = Queue(1 if now % 300 < 30 else 0, 0, 0.0)
        made: Plan = plan(queue, there, LIMITS, float(now), quiet_since)
        quiet_since = made.quiet_since
        starts, stops = starts + made.start, stops + len(made.stop)
        there = [Pod("a", 0.8, 3600.0)] if starts > stops else []
    assert (starts, stops) == (1, 0)


# --- over HTTP, as it is run ----------------------------------------------------------------------


@pytest.fixture
def runpod() -> Iterator[RunPodFake]:
    with RunPodFake() as fake:
        yield fake


def scale(runpod: RunPodFake, *options: str, **environment: str) -> tuple[int, str]:
    """One round in a process of its own; returns its exit code and all that it printed."""
    done = subprocess.run(
        [sys.executable, "devops/runpod/scale.py", "--once", "--max", "3", *options],
        cwd=ROOT,
        env={
            "RUNPOD_API_KEY": API_KEY,
            "RUNPOD_API_URL": f"{runpod.url}/v1",
            "RUNPOD_NETWORK_VOLUME_ID": "volume1",
            "METRICS_URL": f"{runpod.url}/metrics",
            "METRICS_TOKEN": METRICS_TOKEN,
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


BUDGET = ("--dollars-per-hour", "5")


def ago(seconds: float) -> str:
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_growing_queue_rents_pods_that_open_no_port_and_hold_no_secret(
    runpod: RunPodFake,
) -> None:
    runpod.pending = 7
    code, output = scale(runpod, *BUDGET)
    assert code == 0, output
    assert len(runpod.pods) == 2
    assert "2 wanted, 0 there" in output
    names = {body["name"] for body in runpod.bodies}
    assert len(names) == 2
    for body in runpod.bodies:
        assert body["name"].startswith("estilista-worker-")
        assert (body["ports"], body["supportPublicIp"]) == ([], False)
        assert body["networkVolumeId"] == "volume1"
        assert body["dockerStartCmd"][-1].endswith("devops/runpod/deploy.sh")
        secret = {"DATABASE_URL", "R2_SECRET_ACCESS_KEY", "R2_ACCESS_KEY_ID"}
        assert all(body["env"][name].startswith("{{ RUNPOD_SECRET_") for name in secret)
        assert not {"JWT_SECRET", "ADMIN_PASSWORD"} & body["env"].keys()  # a rented host


def test_only_running_pods_of_ours_count(runpod: RunPodFake) -> None:
    runpod.pending = 4
    runpod.add("estilista-worker-1", ago(9000), desiredStatus="EXITED")
    runpod.add("somebody-elses", ago(9000))
    scale(runpod, *BUDGET)
    assert len(runpod.bodies) == 1


def test_an_empty_queue_gives_the_youngest_pod_back(runpod: RunPodFake) -> None:
    runpod.add("estilista-worker-old", ago(9000), price="0.74")
    runpod.add("estilista-worker-young", ago(600), price=None, adjustedCostPerHr=0.69)
    runpod.add("somebody-elses", ago(60))
    code, output = scale(runpod, *BUDGET, "--cool-down", "0")
    assert code == 0, output
    assert [pod["name"] for pod in runpod.pods.values()] == [
        "estilista-worker-old",
        "somebody-elses",
    ]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(runpod: RunPodFake) -> None:
    runpod.pending = 7
    code, output = scale(runpod, *BUDGET, "--dry-run")
    assert code == 0
    assert "2 wanted, 0 there; dry run" in output
    assert runpod.requests == ["GET /metrics", "GET /v1/pods"]


def test_the_budget_holds_over_http_too(runpod: RunPodFake) -> None:
    runpod.pending = 500
    scale(runpod, "--dollars-per-hour", "1.9", "--dollars-per-pod-hour", "0.8")
    assert len(runpod.bodies) == 2


@pytest.mark.parametrize("broken", ["GET /metrics", "GET /v1/pods", "POST /v1/pods"])
def test_what_it_cannot_see_or_get_changes_nothing_and_is_said(
    runpod: RunPodFake, broken: str
) -> None:
    runpod.pending = 7
    runpod.add("estilista-worker-1", ago(9000))
    runpod.broken.add(broken)
    code, output = scale(runpod, *BUDGET)
    assert code == 1
    assert "round broken off: HTTPStatusError" in output
    assert len(runpod.pods) == 1


@pytest.mark.parametrize(
    "text", ["", "queue_pending_jobs 0.0\n", "<html>", "queue_pending_jobs x\n"]
)
def test_metrics_that_say_nothing_are_not_an_empty_queue(runpod: RunPodFake, text: str) -> None:
    runpod.add("estilista-worker-1", ago(9000))
    runpod.metrics_text = lambda: text
    code, output = scale(runpod, *BUDGET, "--cool-down", "0")
    assert code == 1, output
    assert "round broken off" in output
    assert len(runpod.pods) == 1


@pytest.mark.parametrize("wrong", ["RUNPOD_API_KEY", "METRICS_TOKEN"])
def test_a_wrong_key_is_said_without_being_shown(runpod: RunPodFake, wrong: str) -> None:
    runpod.pending = 7
    code, output = scale(runpod, *BUDGET, **{wrong: "canary-5150"})
    assert code == 1
    assert "401" in output
    assert "canary-5150" not in output
    assert runpod.pods == {}


def test_nothing_starts_without_its_settings(runpod: RunPodFake) -> None:
    code, output = scale(runpod, *BUDGET, RUNPOD_API_KEY="")
    assert (code, output) == (1, "RUNPOD_API_KEY is not set\n")


def test_it_understands_the_metrics_that_the_api_really_gives(
    runpod: RunPodFake, client: httpx.Client
) -> None:
    runpod.metrics_text = lambda: client.get("/metrics").text
    code, output = scale(runpod, *BUDGET)
    assert code == 0, output
    assert "0 pending, 0 processing" in output


def test_it_imports_nothing_of_ours() -> None:
    program = "import sys, devops.runpod.scale as s; print(*sys.modules)"
    loaded: Any = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "httpx" in loaded
    assert not {"models", "api", "worker"} & set(loaded)
