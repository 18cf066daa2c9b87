"""The S3 server of the benchmarks, on this machine, and a slow line to it."""

from __future__ import annotations

from functools import cache

from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.s3_server import S3Server, S3ServerFailedError

__all__ = ["BUCKET", "S3ServerFailedError", "close", "environment", "server", "size_bytes", "slow_line"]

BUCKET = "benchmarks"

LINE_BYTES_PER_SECOND = 50_000.0
LINE_LATENCY_S = 0.2


@cache
def server() -> S3Server:
    """Return the server, which ends with the thread that was the first to ask for it.

    Raises:
        S3ServerFailedError: It does not come up.
    """
    started = S3Server()
    started.start()
    started.make_bucket(BUCKET)
    return started


@cache
def slow_line() -> FaultyProxy:
    """Return a proxy to the server that is as slow as a bad line."""
    proxy = FaultyProxy(server().endpoint_url)
    proxy.__enter__()
    proxy.throttle(bytes_per_second=LINE_BYTES_PER_SECOND, latency_s=LINE_LATENCY_S)
    return proxy


def environment() -> dict[str, str]:
    """Return the variables by which a process finds the server."""
    return server().environment()


def size_bytes(uri: str) -> int:
    """Return the sizes of the objects below a URI, summed."""
    from s3fs import S3FileSystem

    fs = S3FileSystem(**server().options(), use_listings_cache=False, skip_instance_cache=True)
    return int(sum(details["size"] for details in fs.find(uri, detail=True).values()))


def close() -> None:
    """End the line and the server, where they were started."""
    if slow_line.cache_info().currsize:
        slow_line().__exit__()
    if server.cache_info().currsize:
        server().close()
    slow_line.cache_clear()
    server.cache_clear()
