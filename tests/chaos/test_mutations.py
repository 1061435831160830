"""The harness has teeth: without a protection it goes red, and with all of them it is green."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chaos import trial
from tests.chaos.cluster import Cluster
from tests.chaos.mutations import MUTATIONS, apply, copy_of_the_code, run

SEED = 7
AT_ONCE = 4  # they mostly wait for leases
PROTECTIONS = {mutation.protection for mutation in MUTATIONS}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a prepared server; each run makes databases of its own by its seed."""
    with Cluster() as cluster:
        trial.prepare(cluster)
        yield cluster.port


def test_without_a_mutation_the_targeted_workloads_are_green(tmp_path: Path, port: int) -> None:
    copy_of_the_code(tmp_path)
    done = run(tmp_path, port, SEED, sorted({mutation.workload for mutation in MUTATIONS}))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_removed_protection_turns_the_harness_red(tmp_path: Path, port: int) -> None:
    """Prints the score: of the five protections, how many cannot be removed unnoticed."""

    def verdict(number: int) -> str:
        mutation, folder = MUTATIONS[number], tmp_path / str(number)
        copy_of_the_code(folder)
        apply(mutation, folder)
        done = run(folder, port, SEED + 1 + number, [mutation.workload])
        red = done.returncode == 1 and re.search(f"VIOLATED .*({mutation.shows_as})", done.stdout)
        return "" if red else f"{mutation.name} survived:\n{done.stdout}{done.stderr}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        survived = list(pool.map(verdict, range(len(MUTATIONS))))
    unprotected = {
        mutation.protection for mutation, words in zip(MUTATIONS, survived, strict=True) if words
    }
    print(f"mutation score {len(PROTECTIONS - unprotected)}/{len(PROTECTIONS)}")
    assert len(PROTECTIONS) == 5
    assert not any(survived), "\n".join(filter(None, survived))


def test_a_mutation_whose_text_is_gone_is_an_error(tmp_path: Path) -> None:
    copy_of_the_code(tmp_path)
    for file in {edit.file for mutation in MUTATIONS for edit in mutation.edits}:
        (tmp_path / file).write_text("")
    for mutation in MUTATIONS:
        with pytest.raises(ValueError, match=re.escape(mutation.name)):
            apply(mutation, tmp_path)
