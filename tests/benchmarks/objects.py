"""Upload to S3 against a raw PUT, on loopback: `python -m tests.benchmarks.objects [MB] [ROUNDS]`.

raw: one PUT of the whole file by http.client, signed beforehand with its known hash, which the server checks in all
cases: no look before, no condition, no hashing on the way, no reading back. ours, upload: up to the moment when the
object has its name. ours, all: with a look before and the whole read back and hashed. Both say that it is gzip, since
SeaweedFS would try to compress a text. Each round measures both beside each other, by turns the one and the other first;
the median counts, and the bound is on the upload: of the rounds' own ratios, so that other work on the machine, which
comes and goes, does less harm. Processor seconds are the client's and the server's: what an upload costs, on any machine.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from include.formats.hashes import file_sha256
from include.targets.object_stores.aws_signing import Keys, signed
from include.targets.object_stores.client import Ask, FileBody
from tests.servers import buckets, corners
from tests.servers.corners import Corner

LEAST_RATIO = 0.9
MOST_MIB = 64


MEDIA_TYPE = "application/gzip"


def cpu_seconds(process: psutil.Process) -> float:
    """Processor seconds of a process so far."""
    used = process.cpu_times()
    return used.user + used.system


def raw_put(corner: Corner, path: Path, sha256: str) -> dict[str, float]:
    """What a PUT as raw as it can be costs."""
    size = path.stat().st_size
    body = FileBody(path, size, sha256, lambda _: None)
    target = f"{corner.endpoint}/{buckets.BUCKET}/{corner.prefix}/{path.name}"
    ask = Ask("PUT", target, {"Content-Type": MEDIA_TYPE}, body=body)
    keys = Keys(*buckets.S3_KEYS.values())
    headers = {**signed(ask, keys, region="us-east-1", service="s3").headers, "Content-Length": str(size)}
    url = urlsplit(ask.url)
    connection = http.client.HTTPConnection(url.hostname, url.port)
    connection.blocksize = 1 << 20
    begun, used = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        connection.request("PUT", url.path, file, headers)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 200, answer.status
    return {"upload": time.perf_counter() - begun, "upload_cpu": time.process_time() - used}


def ours(corner: Corner, path: Path) -> dict[str, float]:
    """What a delivery by a process of its own costs."""
    task = json.dumps({**corner.task(), "source": str(path), "media_type": MEDIA_TYPE})
    command = [sys.executable, "-m", "tests.targets.object_peak"]
    return json.loads(subprocess.run(command, input=task, check=True, capture_output=True, text=True).stdout)


def measured(path: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """The figures of each side, round by round; the first round warms the server and does not count."""
    sha256, corner = file_sha256(path), corners.corner("s3")
    (server,) = psutil.Process().children()
    sides = {"raw": lambda: raw_put(corner, path, sha256), "ours": lambda: ours(corner, path)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sorted(sides.items(), reverse=bool(number % 2)):
            before = cpu_seconds(server)
            figures = side()
            found[name].append({**figures, "server_cpu": cpu_seconds(server) - before})
            corner.delete(path.name)
    return {name: rows[1:] for name, rows in found.items()}


def main(megabytes: int = 256, rounds: int = 9) -> None:
    """Print the medians; exit with 1 when a bound does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        path, block = Path(folder) / "large.bin", os.urandom(1_000_000)
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(block)
        time.sleep(2.1)  # as a file that was rendered a task before: a younger one is hashed twice
        found = measured(path, rounds)
    middle = {
        side: {name: statistics.median(each[name] for each in rows) for name in rows[0]}
        for side, rows in found.items()
    }
    pairs = zip(found["raw"], found["ours"], strict=True)
    ratio = statistics.median(raw["upload"] / mine["upload"] for raw, mine in pairs)
    raw, mine = middle["raw"], middle["ours"]
    grown = mine["peak"] - mine["imported"]
    print(f"{megabytes} MB to SeaweedFS, median of {rounds}; CPU seconds of the client and of the server")
    print(f"raw PUT        {raw['upload']:6.2f} s  {raw['upload_cpu']:5.2f} {raw['server_cpu']:5.2f}")
    print(f"ours, upload   {mine['upload']:6.2f} s  {mine['upload_cpu']:5.2f}         {ratio:.2f} of raw")
    print(f"ours, all      {mine['all']:6.2f} s  {mine['all_cpu']:5.2f} {mine['server_cpu']:5.2f}")
    print(f"memory         {grown:6.0f} MiB above import")
    if ratio < LEAST_RATIO or grown > MOST_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
