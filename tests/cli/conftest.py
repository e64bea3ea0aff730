"""A small mail world for the tests of the command line, shared by those of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.lab.world import DeadHost, Lab, LabThread
from tests.cli.program import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.lab.world import Host

ZONE = """\
good.example.       300 MX 10 mx.good.example.
mx.good.example.    300 A 127.0.0.2
silent.example.     300 MX 10 mx.silent.example.
mx.silent.example.  300 A 127.0.0.3
dead.example.       300 MX 10 mx.dead.example.
mx.dead.example.    300 A 127.0.0.4
gone.example.       300 MX 10 mx.gone.example.
mx.gone.example.    300 A 127.0.0.5
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Give a world where good.example accepts, gone.example refuses, and silent and dead.example do neither."""
    hosts: dict[str, Host | str] = {
        "127.0.0.2": "*good",
        "127.0.0.3": "*silence",
        "127.0.0.4": DeadHost("127.0.0.4"),
        "127.0.0.5": "*good RCPT=550 5.1.1 caf\\xc3\\xa9: User unknown",
    }
    with LabThread(Lab(ZONE, hosts)) as lab:
        yield World(lab)
