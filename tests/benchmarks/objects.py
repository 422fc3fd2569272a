"""Upload to S3 against a raw PUT, on loopback: `python -m tests.benchmarks.objects [MB] [ROUNDS]`.

raw: one PUT of the whole file by http.client, signed beforehand with its known hash, which the server checks in all
cases: no look before, no condition, no hashing on the way, no reading back. ours, upload: up to the moment when the
object has its name. ours, all: with a look before and the whole read back and hashed. Rounds alternate, the median
counts, and the bound is on the upload.
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

from include.formats.hashes import file_sha256
from include.targets.object_stores.aws_signing import Keys, signed
from include.targets.object_stores.client import Ask, FileBody
from tests.servers import buckets, corners
from tests.servers.corners import Corner

LEAST_RATIO = 0.9
MOST_MIB = 64


def raw_put(corner: Corner, path: Path) -> float:
    """Seconds of a PUT as raw as it can be."""
    size = path.stat().st_size
    body = FileBody(path, size, file_sha256(path), lambda _: None)
    ask = Ask("PUT", f"{corner.endpoint}/{buckets.BUCKET}/{corner.prefix}/{path.name}", body=body)
    keys = Keys(*buckets.S3_KEYS.values())
    headers = {**signed(ask, keys, region="us-east-1", service="s3").headers, "Content-Length": str(size)}
    url = urlsplit(ask.url)
    connection = http.client.HTTPConnection(url.hostname, url.port)
    connection.blocksize = 1 << 20
    begun = time.perf_counter()
    with path.open("rb") as file:
        connection.request("PUT", url.path, file, headers)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 200, answer.status
    return time.perf_counter() - begun


def ours(corner: Corner, path: Path) -> dict[str, float]:
    """What a delivery by a process of its own costs."""
    task = json.dumps({**corner.task(), "source": str(path)})
    command = [sys.executable, "-m", "tests.targets.object_peak"]
    return json.loads(subprocess.run(command, input=task, check=True, capture_output=True, text=True).stdout)


def main(megabytes: int = 500, rounds: int = 3) -> None:
    """Print the medians; exit with 1 when a bound does not hold."""
    raw, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        path, block = Path(folder) / "large.bin", os.urandom(1_000_000)
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(block)
        for number in range(rounds + 1):  # the first warms the server
            corner = corners.corner("s3")
            seconds = raw_put(corner, path)
            corner.delete(path.name)
            figures = ours(corner, path)
            corner.delete(path.name)
            if number:
                raw.append(seconds)
                found.append(figures)
    middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
    ratio = statistics.median(raw) / middle["upload"]
    grown = middle["peak"] - middle["imported"]
    print(f"{megabytes} MB to SeaweedFS, median of {rounds}")
    print(f"raw PUT        {statistics.median(raw):6.2f} s")
    print(f"ours, upload   {middle['upload']:6.2f} s  {middle['upload_cpu']:5.2f} CPU s   {ratio:.2f} of raw")
    print(f"ours, all      {middle['all']:6.2f} s  {middle['all_cpu']:5.2f} CPU s")
    print(f"memory         {grown:6.0f} MiB above import")
    if ratio < LEAST_RATIO or grown > MOST_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
