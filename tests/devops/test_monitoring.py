"""Dashboard, alerts and autoscaling ask for metrics that exist; alerts fire when they should."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.settings import ROOT
from tests.orders import place

yaml: Any = importlib.import_module("yaml")
DEVOPS = ROOT / "devops"
PROMETHEUS = DEVOPS / "prometheus"
# Words of PromQL that are no metrics.
NOT_METRICS = {"up", "sum", "max", "deriv", "absent", "vector", "and", "or", "by", "rate"}


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEVOPS / "grafana" / "dashboard.json").read_text()))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of everything that is asked of Prometheus."""
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    keda = yaml.safe_load((DEVOPS / "kubernetes" / "keda-scaledobject.yaml").read_text())
    yield from (("keda", t["metadata"]["query"]) for t in keda["spec"]["triggers"])


def metrics_of(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
    return set(re.findall(r"[a-z][a-z0-9_]+", without_labels)) - NOT_METRICS


def test_every_metric_that_is_used_exists_with_its_labels(
    client: httpx.Client, work: Callable[[], int]
) -> None:
    place()
    work()
    there: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            there.setdefault(sample.name, set()).update(sample.labels)
    there.setdefault("attempts_ended_last_hour", {"verb", "error_code"})  # none ended badly here
    asked = list(expressions())
    assert len(asked) > 15
    for where, expression in asked:
        used = metrics_of(expression)
        assert used <= there.keys(), where
        if used:
            labels = {label for name in used for label in there[name]}
            assert set(re.findall(r"[{,]\s*(\w+)=", expression)) <= labels | {"job"}, where


def test_the_metric_that_is_told_only_after_a_failure_has_the_labels_that_are_used() -> None:
    text = (ROOT / "api" / "health.py").read_text()
    assert '"attempts_ended_last_hour"' in text
    assert 'labels=["verb", "error_code"]' in text


def test_panels_have_titles_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        at = panel["gridPos"]
        own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not own & cells
        assert at["x"] + at["w"] <= 24
        cells |= own


def test_every_alert_leads_to_a_page_of_the_runbook() -> None:
    runbook = (DEVOPS / "RUNBOOK.md").read_text()
    headings = set(re.findall(r"^##+ (.+)$", runbook, re.M))
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "warn")
        page = re.search(r'RUNBOOK\.md, "(.+?)"', rule["annotations"]["description"])
        assert page is not None, rule["alert"]
        assert page[1] in headings, rule["alert"]


def promtool(*arguments: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [tool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_its_configuration() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_when_it_should_and_not_on_a_busy_afternoon() -> None:
    tested = {
        case["alertname"]
        for test in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == {rule["alert"] for rule in alerts()}
    promtool("test", "rules", "alerts_test.yml")
