"""Which addresses a request may go to: a name is looked up once, and every address it has is judged.

The ranges are those of IANA's special-purpose address registries, and the metadata services of clouds.
"""

from __future__ import annotations

import ipaddress
import socket
import threading

from include.errors import Permanent, Transient

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in text.split())


# No receiver lives there: this host, link-local (most clouds' metadata), documentation, tests, multicast, reserved;
# metadata of Azure, Alibaba and Oracle.
_NEVER = _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 "
    "203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32 100.100.100.200/32 "
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20 fd00:ec2::254/128 fd20:ce::254/128"
)
_INSIDE = _networks("10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7")
# What is not allocated, or wraps an IPv4 address (mapped, NAT64), is not in it.
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")


def refusal(address: str, *, allow_private: bool) -> str:
    """Return why no request goes to this address; empty when one may."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in network for network in _NEVER):
        return "no receiver may be there (link-local, cloud metadata, multicast or reserved)"
    if any(ip in network for network in _INSIDE):
        return "" if allow_private else "it is inside the house; allow_private: true in the extra allows it"
    if ip.version == 6 and ip not in _PUBLIC_V6:
        return "it is not a public IPv6 address, or wraps an IPv4 address"
    return ""


def checked(host: str, port: int, *, allow_private: bool, seconds: float) -> list[str]:
    """Return the addresses of a host, looked up once. Permanent when one of them is refused: then none is used.

    Raises Transient when the name has no address, or nobody says so in time.
    """
    found = _looked_up(host, port, seconds)
    for address in found:
        if why := refusal(address, allow_private=allow_private):
            raise Permanent(f"{host} is at {address}, and {why}")
    return found


def _looked_up(host: str, port: int, seconds: float) -> list[str]:
    """The system's resolver knows no time limit, so a thread waits for it."""
    answer: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.append(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            answer.append(OSError(str(error)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise Transient(f"{host}: the name service gave no answer for {seconds:g} seconds")
    if isinstance(answer[0], OSError):
        raise Transient(f"{host}: the name has no address ({answer[0]}); is it right?")
    return answer[0]
