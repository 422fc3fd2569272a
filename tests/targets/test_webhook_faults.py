"""The webhook target when the network breaks: cuts at any byte either way, holes, and a person who looks afterwards.

Whatever breaks, a receiver that keeps keys has each request once; at one that does not, none comes twice, and what nobody
can tell of waits for a person, after whose word each is there once too.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from include.errors import LoyaltyError, Transient, Uncertain
from include.targets.protocol import Answer, Word
from tests.servers import receiver as servers
from tests.servers.proxy import Fault, proxy_to
from tests.targets.hooked import FEW, Kept, deliver, parcel_of, server
from tests.targets.kills import KILLS

__all__ = ["server"]  # a fixture
pytestmark = [pytest.mark.slow, pytest.mark.servers]
ROWS = [(f"t{number}", number) for number in range(4)]
ROWS_IN_BATCHES = {"body": "rows", "batch_rows": 1}


class Effects:
    """What a receiver did: each request once, or once for each key where it keeps them."""

    def __init__(self, server, *, keeps_keys: bool) -> None:
        self.done: list[str] = []
        self._keeps_keys = keeps_keys
        server.always = self._answer

    def _answer(self, request):
        if self._keeps_keys and request.id in self.done:
            return servers.Answer(409, body=request.id.encode())
        self.done.append(request.id)
        return servers.Answer()


def finish(server, kept, effects, **options) -> None:
    """Deliver until it is done; a person looks where nobody can tell."""
    for _ in range(12):
        try:
            deliver(server, kept.next(), **ROWS_IN_BATCHES, **options)
        except Uncertain:
            say(kept, effects)
        except Transient:
            continue
        else:
            return
    pytest.fail("never done")


def say(kept, effects) -> None:
    """A person looks which of the doubtful ones are there, and writes it down as `deliveries resolve` does."""
    known = []
    for each in kept.receipt.recipients:
        batch = each.address.split("batch ")[1].split(" ")[0]
        if each.answer is Answer.ACCEPTED or any(done.endswith(f"-{batch}") for done in effects.done):
            known.append(each.model_copy(update={"answer": Answer.ACCEPTED}))
    word = Word(arrived=False, by="ana", at=datetime.now(UTC))
    kept.receipt = kept.receipt.model_copy(update={"recipients": tuple(known), "word": word})


@pytest.mark.parametrize("keeps_keys", [True, False])
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_at_any_byte_makes_nothing_twice_and_loses_nothing(server, tmp_path, way, keeps_keys):
    parcel, chosen = parcel_of(tmp_path, ROWS, FEW), random.Random(11)
    options = {"receiver_is_idempotent": keeps_keys}
    with proxy_to(server.port) as proxy:
        deliver(server, parcel, port=proxy.port, **ROWS_IN_BATCHES, **options)
        total, broken = proxy.passed[way], 0
        for point in [0, 1, total - 1, *(chosen.randrange(total) for _ in range(KILLS))]:
            kept, effects = Kept(parcel), Effects(server, keeps_keys=keeps_keys)
            proxy.fail(Fault.CUT, point, way)
            try:
                deliver(server, kept.next(), port=proxy.port, **ROWS_IN_BATCHES, **options)
            except LoyaltyError:
                broken += 1
            proxy.heal()
            assert max(Counter(effects.done).values(), default=1) == 1
            finish(server, kept, effects, **options)
            assert sorted(effects.done) == [f"{parcel.key}-1-{batch}" for batch in (1, 2, 3, 4)]
            assert kept.answers == [Answer.ACCEPTED] * 4
        assert broken >= KILLS // 2


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_network_that_swallows_everything_ends_in_time(server, tmp_path, way):
    parcel = parcel_of(tmp_path, ROWS, FEW)
    with proxy_to(server.port) as proxy:
        for point in (0, 150, 350):
            kept, effects = Kept(parcel), Effects(server, keeps_keys=True)
            proxy.fail(Fault.HOLE, point, way)
            began = time.monotonic()
            with pytest.raises(Transient):
                deliver(
                    server,
                    kept.next(),
                    port=proxy.port,
                    timeout_seconds=1,
                    receiver_is_idempotent=True,
                    **ROWS_IN_BATCHES,
                )
            assert time.monotonic() - began < 100
            proxy.heal()
            finish(server, kept, effects, receiver_is_idempotent=True)
            assert sorted(effects.done) == [f"{parcel.key}-1-{batch}" for batch in (1, 2, 3, 4)]
