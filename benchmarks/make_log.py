"""Make a large Exim main log out of the real lines in fixtures/logs: `python -m benchmarks.make_log FILE SIZE [SEED]`.

SIZE is such as 64M or 1G. One line in a hundred is about sender verification: the lines that a real Exim wrote for
real failures, with other stamps, senders, relays and recipients, tried again as relays do, and some of the mail
taken later. The others are what an Exim with cPanel's selectors writes besides: connections, messages, deliveries,
refusals for other reasons. The same seed makes the same file.
"""

from __future__ import annotations

import random
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = Path(__file__).resolve().parent.parent / "fixtures" / "logs"
SHARE = 100
"""One line in so many is about sender verification."""
CASES = 4000
"""Different combinations of failure, sender, relay and recipient; some come often, most seldom."""
TRAFFIC = 40_000
"""Different lines of other traffic."""
PORT = "\0"
"""Stands for the port of a relay, which is another one in every connection."""
LINES_A_SECOND = 25
ACCEPTED = 0.1
"""Share of the deferred tries after which the mail is taken in the end."""

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?(?: [+-]\d{4})?(?: \[\d+\])? ")
_HOST = re.compile(r"H=(\S+ )?(?:\(.*?\) )?\[[^\]]*\](?::\d+)?(?: I=\[[^\]]*\]:\d+)?(?: U=\S+)?")
_VERIFY = re.compile(r"sender verify (defer|fail) for <([^<>@]+)@([^<>]+)>")
_REJECT = re.compile(r"rejected RCPT <[^<>]*>")


class Case(NamedTuple):
    """One failing sender at one relay: its lines behind the stamp, and the line by which it is taken at last."""

    lines: tuple[str, ...]
    taken: str | None


def real_failures() -> list[tuple[str, str]]:
    """Give the pairs of `sender verify` and `rejected` lines in the real logs, behind their stamps."""
    pairs = []
    for path in sorted(LOGS.glob("exim-*log")):
        lines = [line for line in path.read_text("latin-1").splitlines() if _STAMP.match(line)]
        for verify, reject in pairwise(lines):
            if _VERIFY.search(verify) and _REJECT.search(reject):
                pairs.append((_STAMP.sub("", verify), _STAMP.sub("", reject)))
    return pairs


def cases(dice: random.Random) -> list[Case]:
    """Make the population of failing senders."""
    pairs = real_failures()
    made = []
    for number in range(CASES):
        verify, reject = dice.choice(pairs)
        found = _VERIFY.search(verify)
        assert found is not None
        old, new = f"{found[2]}@{found[3]}", f"{found[2]}.{number}@{found[3]}"
        relay = f"relay{number % 997}.example.net [203.0.{number % 113}.{number % 251}]:{PORT}"
        recipient = f"user{dice.randrange(500)}@local{dice.randrange(90)}.example"
        lines = [_HOST.sub(f"H={relay}", line, count=1).replace(old, new) for line in (verify, reject)]
        lines[1] = _REJECT.sub(f"rejected RCPT <{recipient}>", lines[1])
        if dice.random() < 0.3:
            lines.append(f"H={relay} incomplete transaction (QUIT) from <{new}>")
        taken = None
        if found[1] == "defer" and dice.random() < ACCEPTED:
            taken = f"1xV{number:03d}-{number:06d}-Ab <= {new} H={relay} P=esmtps S=4321 for {recipient}"
        made.append(Case(tuple(lines), taken))
    return made


def traffic(dice: random.Random) -> list[str]:
    """Make lines of other traffic, without stamps, in about the shares of a busy shared host."""
    lines = []
    for number in range(TRAFFIC // 8):
        message = f"1x{number % 62**3:03d}V-{dice.randrange(10**6):06d}-{dice.randrange(100):02d}"
        ip = f"198.51.{dice.randrange(256)}.{dice.randrange(1, 255)}"
        host, sender = (
            f"mail{dice.randrange(3000)}.example.org",
            f"info{dice.randrange(9000)}@shop{dice.randrange(3000)}.example",
        )
        user, size = (
            f"user{dice.randrange(500)}@local{dice.randrange(90)}.example",
            dice.randrange(900, 90000),
        )
        port = dice.randrange(1024, 65536)
        client = f"{host} [{ip}]:{port}"
        received = (
            f"{message} <= {sender} H={client} P=esmtps X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no S={size}"
        )
        delivered = (
            f"{message} => {user.partition('@')[0]} <{user}> R=virtual_user T=dovecot_virtual_delivery"
        )
        listed = f"JunkMail rejected - {client} is in an RBL, see https://lists.example/query/ip/{ip}"
        lines += [
            f"SMTP connection from [{ip}]:{port} (TCP/IP connection count = {dice.randrange(1, 40)})",
            f'{received} id={message}@{host} T="Your order {number}" for {user}',
            f"cwd=/var/spool/exim 3 args: /usr/sbin/exim -Mc {message}",
            f'{delivered} C="250 2.0.0 <{user}> {message} Saved"',
            f"{message} Completed",
            f"SMTP connection from {client} closed by QUIT",
            f'H=({host}) [{ip}]:{port} F=<{sender}> rejected RCPT <{user}>: "{listed}"',
            f"no host name found for IP address {ip}",
        ]
    return lines


def log(size: int, seed: int = 1) -> Iterator[str]:
    """Give the log in pieces of some seconds, about `size` octets in all."""
    dice = random.Random(seed)
    failing, other = cases(dice), traffic(dice)
    weights = [1 / (rank + 1) for rank in range(len(failing))]
    second, written, owed = 0, 0, 0
    pending: list[tuple[int, str]] = []
    while written < size:
        lines = []
        chosen = iter(dice.choices(failing, weights, k=60 * LINES_A_SECOND // SHARE + 1))
        for _ in range(60):
            day, of_day = divmod(second, 86400)
            stamp = f"2026-11-{1 + day:02d} {of_day // 3600:02d}:{of_day // 60 % 60:02d}:{of_day % 60:02d} "
            lines += [stamp + line for line in dice.choices(other, k=LINES_A_SECOND)]
            owed += LINES_A_SECOND
            while owed >= 2 * SHARE and (case := next(chosen, None)) is not None:
                owed -= len(case.lines) * SHARE
                port = str(dice.randrange(1024, 65536))
                lines += [stamp + line.replace(PORT, port) for line in case.lines]
                if case.taken is not None and dice.random() < 0.2:
                    pending.append((second + 1800, case.taken))
            while pending and pending[0][0] <= second:
                lines.append(stamp + pending.pop(0)[1].replace(PORT, "2525"))
            second += 1
        piece = "\n".join(lines) + "\n"
        written += len(piece)
        yield piece


def main(argv: list[str]) -> int:
    """Write the file."""
    if len(argv) not in {2, 3} or not re.fullmatch("[0-9]+[MG]", argv[1]):
        print(__doc__, file=sys.stderr)
        return 2
    size = int(argv[1][:-1]) << {"M": 20, "G": 30}[argv[1][-1]]
    with Path(argv[0]).open("w", encoding="latin-1") as file:
        file.writelines(log(size, int(argv[2]) if len(argv) == 3 else 1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
