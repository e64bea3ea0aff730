"""What this host is: the kernel is asked, and nobody is sent a packet."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from probe.net import local

if TYPE_CHECKING:
    import pytest


def test_the_address_that_a_route_leads_out_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_FAR", {4: ("127.0.0.77", 53), 6: ("::1", 53)})
    assert local.source_address(4) == "127.0.0.1"
    assert local.source_address(4, "127.0.0.9") == "127.0.0.9"
    assert local.source_address(4, "192.0.2.99") is None  # not ours
    assert local.source_address(4, "::1") is None
    assert local.source_address(6) in {"::1", None}


def test_without_a_route_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_FAR", {4: ("255.255.255.255", 53)})  # no broadcast without leave
    assert local.source_address(4) is None


def test_without_a_socket_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", exhausted)
    assert local.source_address(4) is None


def test_the_name_is_that_of_the_host() -> None:
    assert local.host_name() == socket.gethostname()
