"""A process that delivers one file and prints by how many bytes its peak memory grew above that after its imports.

`python -m tests.targets.large_delivery FILE FOLDER PORT KEYS`
"""

from __future__ import annotations

import sys
from pathlib import Path

from paramiko.packet import Packetizer

from include.connections import Connection, Secrets
from include.formats.hashes import file_sha256
from include.targets import sftp
from include.targets.protocol import Parcel, ParcelFile, no_progress
from include.targets.ssh import bringing  # noqa: F401 - what a delivery imports

# After so many keys are exchanged anew: 512 MB unless it is said.
REKEY_BYTES = 48 << 20


def peak_bytes() -> int:
    """The highest resident memory so far."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    file, folder, port, keys = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    extra = {
        "host_key": (keys / "ed25519.pub").read_text(),
        "private_key": (keys / "client").read_text(),
    }
    connection = Connection("c", "sftp", "127.0.0.1", port, keys.owner(), extra=extra)
    parcel = Parcel(
        [ParcelFile(file, file.name, file_sha256(file), file.stat().st_size, "text/csv")], "large"
    )
    before = peak_bytes()
    options = sftp.Options(connection="c", folder=folder)
    Packetizer.REKEY_BYTES, exchange, exchanges = REKEY_BYTES, Packetizer._trigger_rekey, []
    Packetizer._trigger_rekey = lambda packetizer: (exchanges.append(1), exchange(packetizer))
    sftp.deliver(options, parcel, Secrets(Path(), {"c": connection}), no_progress)
    assert len(exchanges) >= 2
    print(peak_bytes() - before)
