"""devops/runpod/deploy.sh: its decisions with a scripted Python, and once from end to end."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.settings import ROOT
from tests.orders import place, sql
from tests.s3_fake import S3Fake

DEPLOY = ROOT / "devops" / "runpod" / "deploy.sh"
WAIT_SECONDS = 600.0  # a test that is broken ends; one on a busy machine does not
# Plays Python, pip, the doctor and the worker, and writes down what it was asked to do.
SCRIPTED = """#!/usr/bin/env bash
case "$*" in
  --version) echo Python 3.11.7; exit ;;
  -c*) echo "$ENGINE"; exit ;;
esac
echo "$*" >> "$CALLS"
if [[ -n $FAILS && "$*" == *"$FAILS" ]]; then exit 3; fi
if [[ -n $HANGS && "$*" == *"$HANGS" ]]; then
  trap 'echo "handed back" >> "$CALLS"; exit 0' TERM
  while true; do sleep 0.02; done
fi
if [[ "$*" == "-m venv "* ]]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
if [[ "$*" == "-m worker" ]]; then exit 4; fi
"""


class Pod:
    """A volume, an environment and what the scripted Python was asked to do."""

    def __init__(self, folder: Path) -> None:
        self.volume = folder / "volume"
        self.calls_file = folder / "calls"
        self.python = folder / "python3"
        self.python.write_text(SCRIPTED)
        self.python.chmod(0o755)
        self.started: list[subprocess.Popen[str]] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "VOLUME": str(self.volume),
            "PYTHON": str(self.python),
            "DATABASE_URL": "postgresql://pod:hunter2@nowhere/x",
            "CALLS": str(self.calls_file),
            "ENGINE": "drape",
            "FAILS": "",
            "HANGS": "",
            "RESTARTS_MAX": "2",
            "BACKOFF_SECONDS": "0",
        }

    def start(self, **environment: str) -> subprocess.Popen[str]:
        self.calls_file.write_text("")
        process = subprocess.Popen(
            ["env", "--default-signal", DEPLOY],  # a shell's background job ignores SIGINT
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Nothing outlives its test, also when the test failed."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=WAIT_SECONDS)

    def run(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        output = process.communicate(timeout=WAIT_SECONDS)[0]
        return process.returncode, output

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()

    def count(self, part: str) -> int:
        return sum(part in call for call in self.calls)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    pod = Pod(tmp_path)
    yield pod
    pod.end()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look every 20 ms; the limit only ends a test that is broken."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.02)


def test_a_first_start_installs_checks_and_works_in_this_order(pod: Pod) -> None:
    pod.run(RESTARTS_MAX="0")
    made, installed, doctor, worker = pod.calls
    assert made.startswith("-m venv ")
    assert installed.endswith("-r requirements.txt")
    assert (doctor, worker) == ("-m worker.doctor", "-m worker")


def test_a_second_start_installs_nothing(pod: Pod) -> None:
    pod.run(RESTARTS_MAX="0")
    pod.run(RESTARTS_MAX="0")
    assert pod.calls == ["-m worker.doctor", "-m worker"]


def test_an_install_that_broke_is_done_again(pod: Pod) -> None:
    code, output = pod.run(FAILS="-r requirements.txt")
    assert (code, pod.count("worker")) == (3, 0)
    assert "failed with 3" in output
    pod.run()
    assert pod.count("-r requirements.txt") == 1


def test_another_python_or_other_pins_get_an_environment_of_their_own(pod: Pod) -> None:
    pod.run(RESTARTS_MAX="0")
    other = SCRIPTED.replace("3.11.7", "3.12.1")
    pod.python.write_text(other)
    pod.run(RESTARTS_MAX="0")
    assert pod.count("-m venv") == 1
    assert len(list(pod.volume.glob("venv-*"))) == 2


def test_a_photoreal_pod_gets_its_weights_and_reads_all_of_them_once(
    pod: Pod, tmp_path: Path
) -> None:
    manifest = tmp_path / "weights.toml"
    manifest.write_text("one")
    photoreal = {
        "ENGINE": "sdxl_inpaint",
        "WEIGHTS_MANIFEST": str(manifest),
        "RESTARTS_MAX": "0",
    }
    pod.run(**photoreal)
    assert pod.calls[2].endswith("-r requirements-gpu.txt")
    assert pod.calls[3:5] == ["-m worker.weights pull", "-m worker.weights verify"]
    pod.run(**photoreal)
    assert (pod.count("weights pull"), pod.count("weights verify")) == (1, 0)
    manifest.write_text("two")
    pod.run(**photoreal)
    assert (pod.count("weights pull"), pod.count("weights verify")) == (1, 1)


def test_a_pod_without_a_gpu_is_allowed_only_in_so_many_words(pod: Pod) -> None:
    pod.run(RESTARTS_MAX="0", ENGINE="sdxl_inpaint")
    assert "-m worker.doctor" in pod.calls
    pod.run(RESTARTS_MAX="0", ENGINE="sdxl_inpaint", ALLOW_CPU="1")
    assert "-m worker.doctor --allow-cpu" in pod.calls


@pytest.mark.parametrize("step", ["weights pull", "weights verify", "worker.doctor"])
def test_nothing_works_on_a_pod_that_is_not_right(pod: Pod, step: str) -> None:
    code, output = pod.run(FAILS=step, ENGINE="sdxl_inpaint")
    assert (code, pod.calls[-1]) == (3, f"-m {step}" if "doctor" in step else f"-m worker.{step}")
    assert "failed with 3" in output


def test_a_worker_that_crashes_again_and_again_is_given_up(pod: Pod) -> None:
    code, output = pod.run(RESTARTS_MAX="3")
    assert (code, pod.calls.count("-m worker")) == (1, 4)
    assert output.count("starting again in 0 s") == 3
    assert "gave up: the worker ended 4 times in a row, last with 4" in output


def test_a_worker_that_lived_long_enough_does_not_count_as_crashing_at_the_start(pod: Pod) -> None:
    process = pod.start(RESTARTS_MAX="1", STEADY_SECONDS="0")
    wait_until(lambda: pod.calls.count("-m worker") > 4, "it was started a fifth time")
    process.terminate()
    process.communicate(timeout=WAIT_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_worker_and_is_waited_for(pod: Pod, number: signal.Signals) -> None:
    process = pod.start(HANGS="-m worker")
    wait_until(lambda: pod.calls[-1:] == ["-m worker"], "the worker works")
    process.send_signal(number)
    output = process.communicate(timeout=WAIT_SECONDS)[0]
    assert process.returncode == 0, output
    assert pod.calls[-2:] == ["-m worker", "handed back"]


def test_a_signal_in_mid_install_ends_it_and_the_next_start_installs(pod: Pod) -> None:
    process = pod.start(HANGS="-r requirements.txt")
    wait_until(lambda: pod.count("pip install") == 1, "pip runs")
    process.terminate()
    process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0
    pod.run()
    assert pod.count("pip install") == 1


def test_two_pods_on_one_volume_install_once(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Pod(tmp_path / "other")
    both = [p.start(VOLUME=str(pod.volume), PYTHON=str(pod.python)) for p in (pod, other)]
    pod.started += other.started
    for process in both:
        process.communicate(timeout=WAIT_SECONDS)
    assert pod.count("pip install") + other.count("pip install") == 1
    assert "-m worker" in pod.calls
    assert "-m worker" in other.calls


def test_a_pod_without_a_database_is_refused_by_name(pod: Pod) -> None:
    if (ROOT / ".env").exists():
        pytest.skip("this checkout has an .env of its own, which may name a database")
    code, output = pod.run(DATABASE_URL="")
    assert code == 2
    assert "DATABASE_URL is not set" in output


# --- from end to end -----------------------------------------------------------------------------

# `-m venv` makes a real environment that finds the packages of the one that runs the tests, so that
# pip has nothing to download, which it is not allowed to.
SEEDED = """#!/usr/bin/env bash
set -e
if [[ "$1 $2" == "-m venv" ]]; then
  "{python}" -m venv --without-pip "$3"
  echo "{packages}" > "$(echo "$3"/lib/python3.*/site-packages)/seed.pth"
else
  exec "{python}" "$@"
fi
"""


@pytest.fixture
def bucket() -> Iterator[S3Fake]:
    with S3Fake() as fake:
        yield fake


@pytest.fixture
def real_pod(pod: Pod, bucket: S3Fake, migrated: str) -> Pod:
    """The same pod with a real Python, this run's database and a strict bucket."""
    packages = "\n".join(path for path in sys.path if path.endswith("site-packages"))
    pod.python.write_text(SEEDED.format(python=sys.executable, packages=packages))
    pod.environment |= {
        "DATABASE_URL": migrated,
        "PIP_NO_INDEX": "1",
        "STORAGE_BACKEND": "r2",
        "R2_ENDPOINT_URL": bucket.url,
        "R2_ACCOUNT_ID": "account",
        "R2_BUCKET_NAME": bucket.bucket,
        "R2_ACCESS_KEY_ID": bucket.access_key_id,
        "R2_SECRET_ACCESS_KEY": bucket.secret_access_key,
        "FINAL_ENGINE": "drape",
        "LEASE_SECONDS": "300",  # a step may take long where ten others want the same core
        "RESTARTS_MAX": "0",
        "PROFILE_SWATCHES": "false",  # the bucket has none
    }
    return pod


def place_in_a_plain_colour() -> None:
    """The bucket of this test has no catalogue in it."""
    place()
    plain = """CAST(letter AS jsonb) || '{"swatch_key": null}'"""
    sql(f"UPDATE jobs SET letter = {plain} WHERE status = 'pending'")


def wait_for_pictures(number: int, process: subprocess.Popen[str]) -> None:
    """Until so many jobs are completed, or the process ended, which is an error of its own."""
    completed = "SELECT count(*) FROM jobs WHERE status = 'completed'"
    wait_until(lambda: sql(completed) == number or process.poll() is not None, "it is completed")


def listening_sockets(pid: int) -> set[str]:
    """Inodes of the TCP sockets that this process or a child of it listens on."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    inodes = set()
    for process in (str(pid), *children):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                listening.add(fields[9])
    return inodes & listening


def deploy(pod: Pod, bucket: S3Fake, pictures: int, **environment: str) -> str:
    """Deploy until so many jobs are completed, then stop it; returns what it printed. The worker
    listens nowhere and no secret is printed."""
    process = pod.start(**environment)
    wait_for_pictures(pictures, process)
    listening = listening_sockets(process.pid) if process.poll() is None else None
    process.terminate()
    output = process.communicate(timeout=WAIT_SECONDS)[0]
    assert process.returncode == 0, output
    assert listening == set()
    secrets = (bucket.secret_access_key, bucket.access_key_id, pod.environment["DATABASE_URL"])
    assert [secret for secret in secrets if secret in output] == []
    return output


def assert_pictures_are_stored_as_published(bucket: S3Fake, number: int) -> None:
    rows = sql("SELECT json_agg(json_build_array(object_key, size_bytes, sha256)) FROM images")
    assert len(rows) == number
    for key, size, sha256 in rows:
        stored = bucket.objects[key].content
        assert (len(stored), hashlib.sha256(stored).hexdigest()) == (size, sha256)


@pytest.mark.usefixtures("clean")
def test_a_bare_pod_becomes_a_working_worker_and_the_second_time_at_once(
    real_pod: Pod, bucket: S3Fake
) -> None:
    place_in_a_plain_colour()
    first = deploy(real_pod, bucket, 1)
    assert "installing requirements.txt" in first
    assert "final engine drape" in first
    place_in_a_plain_colour()
    second = deploy(real_pod, bucket, 2)
    assert "installing" not in second
    assert_pictures_are_stored_as_published(bucket, 2)


class WeightsHub(ThreadingHTTPServer):
    """A folder of weights under the paths of the real hub, and which were asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), WeightsRequest)
        self.folder = folder
        self.asked: list[str] = []


class WeightsRequest(SimpleHTTPRequestHandler):
    server: WeightsHub

    def translate_path(self, path: str) -> str:
        """/<owner>/<weights>/resolve/<revision>/<file>"""
        self.server.asked.append(path)
        _, _, weights_id, _, _, *file = path.split("/")
        return str(self.server.folder.joinpath(weights_id, *file))

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[WeightsHub]:
    """SDXL's networks in tiny, with random weights."""
    from tests.worker.sdxl_tiny import shelf

    with WeightsHub(shelf().root) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# Two steps of the fastest profile: a picture of full size in seconds, also without a GPU.
REHEARSAL = {
    "FINAL_ENGINE": "sdxl_inpaint",
    "SDXL_PROFILE": "fast",
    "INPAINT_STEPS": "6",
    "INPAINT_STRENGTH": "0.35",
}


@pytest.mark.usefixtures("clean")
def test_a_photoreal_pod_pulls_its_weights_once_and_paints_each_time_it_is_deployed(
    real_pod: Pod, bucket: S3Fake, hub: WeightsHub, setting: Callable[..., None]
) -> None:
    setting(**REHEARSAL)  # the API and its pods are given the same
    real_pod.environment |= REHEARSAL | {
        "ALLOW_CPU": "1",
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "WEIGHTS_MANIFEST": str(hub.folder / "weights.toml"),
        "OMP_NUM_THREADS": "1",
    }
    place_in_a_plain_colour()
    first = deploy(real_pod, bucket, 2)  # a draft and a final
    assert "installing requirements-gpu.txt" in first
    assert "ok    device" in first
    assert "final engine sdxl_inpaint" in first
    pulled = len(hub.asked)
    assert pulled == len(set(hub.asked)) > 10
    place_in_a_plain_colour()
    second = deploy(real_pod, bucket, 4)
    assert "installing" not in second
    assert len(hub.asked) == pulled
    assert_pictures_are_stored_as_published(bucket, 4)
    engines = "SELECT json_agg(engine ORDER BY engine) FROM images"
    assert sql(engines) == ["drape", "drape", "sdxl_inpaint", "sdxl_inpaint"]
    assert sql("SELECT max(attempts) FROM jobs") == 1
