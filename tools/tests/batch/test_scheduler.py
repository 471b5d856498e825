"""A class graded by a real scheduler and real worker processes, one of which is killed in the middle."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from autograder.errors import BadInput
from autograder.tests.sandbox.attacks import HONEST, source
from tools.batch.scheduler import allowed
from tools.batch.timing_lock import TimingLock

WRONG_SIGN = HONEST | {"weighted": "return -(x @ w)"}
SIZE = 12


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def cluster(environment: dict, folder: Path, workers: int, protocol: str = "tcp"):
    """A scheduler and worker processes of one thread each, without a nanny: (address, processes), the scheduler first."""
    address, started = f"{protocol}://127.0.0.1:{free_port()}", []

    def start(*command: str) -> None:
        with (folder / f"log-{len(started)}").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                    cwd=folder,
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
            )

    try:
        start(
            "dask_scheduler",
            "--protocol",
            protocol,
            "--host",
            "127.0.0.1",
            "--port",
            address.rpartition(":")[2],
            "--no-dashboard",
        )
        for _ in range(workers):
            start(
                "dask_worker",
                address,
                "--protocol",
                protocol,
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
            )
        yield address, started
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def batch(toy, *options) -> list[str]:
    return [sys.executable, "-m", "tools", "batch", "a90", *map(str, options)]


def run(toy, *options, environment=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        batch(toy, *options), env=environment or toy.environment(), capture_output=True, text=True, timeout=600, check=False
    )


def entries(to: Path) -> dict[str, list]:
    """What was decided on each submission, by key; a line too many would be seen."""
    lines = [json.loads(line) for line in (to / "reports.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({line["key"] for line in lines}) == len(lines)
    verdict = lambda c: (c["id"], c["status"], c["points"], c["message"], c["misconception"], c["given"])
    # a ratio of times is told in a message, and no two runs have the same
    return {
        line["key"]: [
            line["refused"],
            line["report"]["notes"],
            *(verdict(c) for c in line["report"]["checks"] if "times" not in c["message"]),
        ]
        for line in lines
    }


@pytest.fixture(scope="module")
def classmates(tmp_path_factory):
    """Folders and archives of honest, wrong and broken submissions."""
    folder = tmp_path_factory.mktemp("class")
    kinds = [HONEST, WRONG_SIGN, HONEST | {"mean": "return x.sum() / 0"}]
    for number in range(SIZE):
        text, place = source(kinds[number % 3]), folder / f"one_{number:02d}"
        if number % 4 == 3:
            with zipfile.ZipFile(f"{place}.zip", "w") as archive:
                archive.writestr("inner/sums.py", text)
        else:
            place.mkdir()
            (place / "sums.py").write_text(text)
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    return folder


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing_and_nothing_counts_twice(toy, classmates, tmp_path):
    alone = toy.run("batch", "a90", "--from", str(classmates), "--to", str(tmp_path / "alone"), module="tools")
    assert alone.returncode == 0, alone.stderr
    with cluster(toy.environment(), tmp_path, workers=2) as (address, (_, first, second)):
        command = batch(toy, "--from", classmates, "--to", tmp_path / "out", "--scheduler", address)
        process = subprocess.Popen(command, env=toy.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        reports = tmp_path / "out/reports"
        while len(list(reports.glob("*.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        server = next(iter(psutil.Process(first.pid).children()))  # of the worker that dies, which must not survive it
        first.send_signal(signal.SIGKILL)
        before = len(list(reports.glob("*.json")))
        said, errors = process.communicate()
        assert process.returncode == 0, errors
        assert second.poll() is None and before < SIZE + 1
        gone, _ = psutil.wait_procs([server], timeout=60)
        assert gone
    assert f"{SIZE + 1} submissions, {SIZE + 1} graded now" in said
    assert len(list(reports.glob("*.json"))) == SIZE + 1
    assert entries(tmp_path / "out") == entries(tmp_path / "alone")
    assert "broken.zip" in errors and "not graded" in errors


@pytest.mark.slow
def test_a_worker_with_another_grader_is_refused(toy, classmates, tmp_path):
    shutil.copytree(toy.root, tmp_path / "course")
    checks = tmp_path / "course/assignments/a90_toy/tests/test_sums.py"
    checks.write_text(checks.read_text() + "\n# mended\n")
    other = toy.environment() | {"COURSE_DIR": str(tmp_path / "course")}
    with cluster(other, tmp_path, workers=1) as (address, _):
        done = run(toy, "--from", classmates, "--to", tmp_path / "out", "--scheduler", address)
    assert done.returncode == 3 and "has another grader, other checks or other official inputs" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_scheduler_that_is_lost_keeps_what_is_graded(toy, classmates, tmp_path):
    with cluster(toy.environment(), tmp_path, workers=1) as (address, (scheduler, _)):
        command = batch(toy, "--from", classmates, "--to", tmp_path / "out", "--scheduler", address)
        process = subprocess.Popen(command, env=toy.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        reports = tmp_path / "out/reports"
        while len(list(reports.glob("*.json"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        scheduler.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == 3 and "goes on from there" in errors and "Traceback" not in errors, errors
    stored = [json.loads(path.read_text(encoding="utf-8"))["entry"] for path in reports.glob("*.json")]
    kept = sum(not entry["refused"] for entry in stored)
    done = run(toy, "--from", classmates, "--to", tmp_path / "out")
    assert 1 <= kept < SIZE + 1 and f"{SIZE + 1} submissions, {SIZE + 1 - kept} graded now" in done.stdout, done.stdout


@pytest.mark.slow
def test_nobody_at_the_address_is_said(toy, classmates, tmp_path):
    done = run(toy, "--from", classmates, "--to", tmp_path / "out", "--scheduler", f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 2 and "no scheduler answers" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_cluster_over_tls_with_certificates_from_the_configuration_of_dask(toy, classmates, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls |= {f"DASK_DISTRIBUTED__COMM__TLS__{role}__{k}": str(v) for k, v in (("KEY", key), ("CERT", certificate))}
    environment = toy.environment() | tls
    with cluster(environment, tmp_path, workers=1, protocol="tls") as (address, _):
        options = ("--from", classmates, "--to", tmp_path / "out", "--scheduler", address)
        without = run(toy, *options)
        assert without.returncode == 2 and "no certificates for tls://" in without.stderr, without.stderr
        done = run(toy, *options, environment=environment)
    assert done.returncode == 0, done.stderr
    assert len(entries(tmp_path / "out")) == SIZE + 1


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://[::1]:8786", "tcp://localhost:8786"])
def test_what_stays_on_this_machine_is_allowed(address):
    assert allowed(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "tcp://10.0.0.7:8786",
        "tcp://cluster.example.org:8786",
        "127.0.0.1:8786",
        "ws://127.0.0.1:8786",
        "tcp://127.0.0.1.example.org:1",
        "",
    ],
)
def test_what_would_travel_in_the_open_is_refused(address):
    with pytest.raises(BadInput, match="in the open"):
        allowed(address)


def test_one_thing_is_timed_at_a_time_by_threads_and_processes():
    running, most = 0, 0

    def timed() -> None:
        nonlocal running, most
        for _ in range(20):
            with TimingLock():
                running += 1
                most = max(most, running)
                time.sleep(0.001)
                running -= 1

    threads = [threading.Thread(target=timed) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == 1
    hold = "from tools.batch.timing_lock import TimingLock\nwith TimingLock():\n    print('held', flush=True)\n    input()"
    process = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout.readline() == "held\n"
    got, one = threading.Event(), TimingLock()

    def wait() -> None:
        with one:
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.3)
    process.kill()  # its turn comes back
    process.wait()
    assert got.wait(200)
    waiting.join()
    process.stdin.close()
    process.stdout.close()
