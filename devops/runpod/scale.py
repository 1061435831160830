"""Keeps the number of GPU pods in line with the queue, through RunPod's REST API.

    python devops/runpod/scale.py --max 4 --dollars-per-hour 3 [--dry-run] [--once]

Reads /metrics of the API; imports nothing of ours. Grows at once, shrinks one pod at a time after a
quiet spell, and changes nothing while it cannot see. A pod that is stopped hands its job back.

Environment: RUNPOD_API_KEY, RUNPOD_NETWORK_VOLUME_ID (where deploy.sh keeps things), METRICS_URL,
METRICS_TOKEN (an API token of an `ops` user).
"""

import argparse
import json
import logging
import math
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

log = logging.getLogger("scale")
API_URL = "https://rest.runpod.io/v1"
TIMEOUT_SECONDS = 20.0
POD = Path(__file__).with_name("pod.json")
CANNOT_SEE = (httpx.HTTPError, ValueError, KeyError, TypeError)  # no answer, or not a known one


@dataclass(frozen=True)
class Queue:
    """What /metrics says."""

    pending: int
    processing: int
    oldest_wait_seconds: float


@dataclass(frozen=True)
class Pod:
    """One rented pod of ours that runs or is being started."""

    id: str
    dollars_per_hour: float
    age_seconds: float


@dataclass(frozen=True)
class Limits:
    """What the owner allows."""

    pods_min: int
    pods_max: int
    dollars_per_hour_max: float
    dollars_per_pod_hour: float  # of a pod that is yet to be rented
    jobs_per_pod: int
    wait_max_seconds: float
    cool_down_seconds: float
    starting_seconds: float  # a pod this young may not work yet


@dataclass(frozen=True)
class Plan:
    """What to do now. `quiet_since` is for the next round: when fewer pods began to be enough."""

    start: int
    stop: tuple[str, ...]
    quiet_since: float | None
    why: str


def needed(queue: Queue, pods: Sequence[Pod], limits: Limits) -> int:
    """How many pods the queue asks for, within what is allowed. A job that waits too long asks for
    one pod more than there are, but not while one is still starting."""
    by_depth = math.ceil((queue.pending + queue.processing) / limits.jobs_per_pod)
    is_late = queue.pending > 0 and queue.oldest_wait_seconds > limits.wait_max_seconds
    is_starting = any(pod.age_seconds < limits.starting_seconds for pod in pods)
    by_wait = len(pods) + (0 if is_starting else 1) if is_late else 0
    asked = max(by_depth, by_wait, limits.pods_min)
    return min(asked, limits.pods_max, affordable(pods, limits))


def affordable(pods: Sequence[Pod], limits: Limits) -> int:
    """How many pods the hourly budget pays: those there are, cheapest first, then new ones."""
    left, count = limits.dollars_per_hour_max, 0
    for price in sorted(pod.dollars_per_hour for pod in pods):
        if price > left:
            return count
        left, count = left - price, count + 1
    return count + math.floor(left / limits.dollars_per_pod_hour + 1e-9)


def plan(
    queue: Queue, pods: Sequence[Pod], limits: Limits, now: float, quiet_since: float | None
) -> Plan:
    """Grow at once; shrink by the youngest pod after fewer were enough for a whole cool-down."""
    wanted = needed(queue, pods, limits)
    why = (
        f"{queue.pending} pending, {queue.processing} processing, the next has waited "
        f"{queue.oldest_wait_seconds:.0f} s: {wanted} wanted, {len(pods)} there"
    )
    if wanted >= len(pods):
        return Plan(wanted - len(pods), (), None, why)
    too_dear = sum(pod.dollars_per_hour for pod in pods) > limits.dollars_per_hour_max
    since = now if quiet_since is None else quiet_since
    if not too_dear and now - since < limits.cool_down_seconds:
        return Plan(0, (), since, f"{why}, cooling down")
    youngest = min(pods, key=lambda pod: (pod.age_seconds, pod.id))
    return Plan(0, (youngest.id,), now, why)


class RunPod:
    """The few calls we need of RunPod's API. Methods raise httpx.HTTPError, or one of CANNOT_SEE
    for an answer that is not as documented."""

    def __init__(self, client: httpx.Client, template: Mapping[str, Any]) -> None:
        self.client = client
        self.template = template

    def pods(self, now: datetime) -> list[Pod]:
        """Ours, by the start of their name; a stopped pod is none."""
        answer = self.client.get("pods")
        answer.raise_for_status()
        prefix = f"{self.template['name']}-"
        return [
            _pod(pod, now)
            for pod in answer.json()
            if str(pod["name"]).startswith(prefix) and pod["desiredStatus"] == "RUNNING"
        ]

    def start(self) -> str:
        name = f"{self.template['name']}-{secrets.token_hex(4)}"
        answer = self.client.post("pods", json={**self.template, "name": name})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def stop(self, id: str) -> None:
        """For good. A pod that is gone already is no error."""
        answer = self.client.delete(f"pods/{id}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()


def _pod(pod: Mapping[str, Any], now: datetime) -> Pod:
    """A pod that does not say since when it runs is starting."""
    price = pod.get("adjustedCostPerHr") or pod["costPerHr"]
    started = pod.get("lastStartedAt")
    age = (now - datetime.fromisoformat(started)).total_seconds() if started else 0.0
    return Pod(str(pod["id"]), float(price), age)


def read_queue(client: httpx.Client, url: str, token: str | None) -> Queue:
    """Raises one of CANNOT_SEE, also when a metric is missing: no queue is not an empty queue."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = client.get(url, headers=headers)
    answer.raise_for_status()
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(answer.text):
        values[family.name] = [sample.value for sample in family.samples]
    return Queue(
        int(values["queue_pending_jobs"][0]),
        int(values["queue_processing_jobs"][0]),
        max(values["queue_next_wait_seconds"]),
    )


class Scaler:
    """Looks, decides, acts; again and again."""

    def __init__(
        self, runpod: RunPod, metrics: httpx.Client, options: argparse.Namespace, limits: Limits
    ) -> None:
        self.runpod, self.metrics, self.options, self.limits = runpod, metrics, options, limits
        self.quiet_since: float | None = None

    def round(self) -> bool:
        """One look and what follows from it; False when it could not see or act."""
        try:
            queue = read_queue(self.metrics, self.options.metrics_url, self.options.metrics_token)
            pods = self.runpod.pods(datetime.now(UTC))
            made = plan(queue, pods, self.limits, time.monotonic(), self.quiet_since)
            log.info("%s%s", made.why, "; dry run" if self.options.dry_run else "")
            self.quiet_since = made.quiet_since
            if not self.options.dry_run:
                self._act(made)
        except CANNOT_SEE as error:
            log.warning("round broken off: %s: %s", type(error).__name__, error)
            return False
        return True

    def _act(self, made: Plan) -> None:
        for _ in range(made.start):
            log.info("started %s", self.runpod.start())
        for id in made.stop:
            self.runpod.stop(id)
            log.info("stopped %s", id)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    key = {"Authorization": f"Bearer {options.api_key}"}
    template = json.loads(options.pod.read_text(encoding="utf-8"))
    template["networkVolumeId"] = options.network_volume_id
    with (
        httpx.Client(base_url=options.api_url, headers=key, timeout=TIMEOUT_SECONDS) as api,
        httpx.Client(timeout=TIMEOUT_SECONDS) as metrics,
    ):
        scaler = Scaler(RunPod(api, template), metrics, options, _limits(options))
        seen = scaler.round()
        while not options.once and not stopping.wait(options.every):
            seen = scaler.round()
    return 0 if seen else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--min", type=int, default=0, help="pods that always run")
    parser.add_argument("--max", type=int, required=True, help="pods at most")
    parser.add_argument(
        "--dollars-per-hour", type=float, required=True, help="all pods together cost no more"
    )
    parser.add_argument("--dollars-per-pod-hour", type=float, default=0.8)
    parser.add_argument("--jobs-per-pod", type=int, default=4, help="waiting or running")
    parser.add_argument("--max-wait", type=float, default=60.0, help="seconds")
    parser.add_argument("--cool-down", type=float, default=600.0, help="seconds")
    parser.add_argument("--starting", type=float, default=420.0, help="seconds")
    parser.add_argument("--every", type=float, default=15.0, help="seconds")
    parser.add_argument("--pod", type=Path, default=POD, help="what to rent, as the API has it")
    parser.add_argument("--once", action="store_true", help="one round, then end")
    parser.add_argument("--dry-run", action="store_true", help="decide, but change nothing")
    parser.set_defaults(
        api_url=os.environ.get("RUNPOD_API_URL") or API_URL,
        api_key=_required("RUNPOD_API_KEY"),
        network_volume_id=_required("RUNPOD_NETWORK_VOLUME_ID"),
        metrics_url=_required("METRICS_URL"),
        metrics_token=os.environ.get("METRICS_TOKEN"),
    )
    return parser


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set")
    return value


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        pods_min=options.min,
        pods_max=options.max,
        dollars_per_hour_max=options.dollars_per_hour,
        dollars_per_pod_hour=options.dollars_per_pod_hour,
        jobs_per_pod=options.jobs_per_pod,
        wait_max_seconds=options.max_wait,
        cool_down_seconds=options.cool_down,
        starting_seconds=options.starting,
    )


if __name__ == "__main__":
    sys.exit(main())
