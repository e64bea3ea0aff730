"""From what the DNS and the mail hosts of a domain said to the evidence of each of its addresses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from probe.core.classify import TOOL
from probe.core.model import EVIDENCE_SCHEMA, Evidence, Skip
from probe.core.rebase import shift
from probe.run.domains import seed_of
from probe.run.host import host_evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Canary, Options
    from probe.run.agenda import Asked, Seen, Work


class Assembly:
    """Makes evidence whose times count from one `zero` of the batch's clock.

    `clock` is that clock; `seed` orders hosts of equal preference, another way for each domain.
    """

    def __init__(self, options: Options, clock: Callable[[], float], *, seed: int) -> None:
        self._options = options
        self._clock = clock
        self._seed = seed
        self._began = (float("nan"), "")
        self._second = (0, "")

    def evidence(
        self,
        work: Work,
        asked: Asked,
        seen: tuple[Seen, ...],
        zero: float,
        canary: Canary | None,
        *,
        cut_short: bool,
    ) -> Evidence:
        """Give the evidence of an address: the hosts that were `seen`, and the others as not needed.

        Behind one that was held back they are left alone too, because what they say would not count.
        """
        hosts = {}
        left = Skip.DEFINITE
        for item in seen:
            host = item.host if item.zero == zero else shift(item.host, item.zero - zero)
            hosts[host.ip] = host
            left = Skip.HELD_BACK if host.skipped is Skip.HELD_BACK else Skip.DEFINITE
        return Evidence(
            schema=EVIDENCE_SCHEMA,
            tool=TOOL,
            began=self._began_at(zero),
            seed=seed_of(self._seed, asked.address.domain),
            address=asked.address,
            options=self._options,
            dns=work.look.since(zero),
            hosts=tuple(
                [
                    hosts.get(target.ip)
                    or host_evidence(target, self._options.port, target.skipped or left, ())
                    for target in work.all_targets
                ]
            ),
            ended=self._clock() - zero,
            interrupted=False,
            cut_short=cut_short,
            canary=canary,
        )

    def _began_at(self, zero: float) -> str:
        """Write the wall clock at `zero`; the addresses of one connection share it."""
        if self._began[0] != zero:
            moment = time.time() - self._clock() + zero
            second = int(moment)
            if self._second[0] != second:
                # Whole seconds are the same for hundreds of visits, and the calendar is what takes time.
                self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._began = zero, f"{self._second[1]}.{int((moment - second) * 1000):03d}+00:00"
        return self._began[1]
