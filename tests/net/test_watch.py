"""When waiting for a silent peer is in vain: the judgement with made-up states, the watch on real sockets."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from probe.core.model import TcpInfo
from probe.net import tcp
from probe.net.watch import GIVE_UP_AFTER, STUCK_AFTER, UNANSWERED, Silence, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator


def state(
    *,
    segs_out: int = 3,
    segs_in: int = 3,
    last_ack: float = 0.5,
    last_data: float = 0.5,
    retransmits: int = 0,
) -> TcpInfo:
    return TcpInfo(
        t=0.0,
        state=tcp.ESTABLISHED,
        retransmits=retransmits,
        retrans=0,
        total_retrans=retransmits,
        segs_out=segs_out,
        segs_in=segs_in,
        out_of_order=0,
        last_ack=last_ack,
        last_data=last_data,
        rtt=0.02,
        mss=1448,
    )


def looks(*states: TcpInfo, stuck: bool = False) -> list[bool]:
    silence = Silence()
    return [silence.in_vain(info, stuck=stuck) is not None for info in states]


def test_dead_when_the_questions_go_unanswered() -> None:
    walk = [state(segs_out=3 + n, last_ack=1.0 + n, last_data=1.0 + n) for n in range(10)]
    assert looks(*walk).index(True) == GIVE_UP_AFTER - 1


def test_alive_as_long_as_anything_comes() -> None:
    walk = [state(segs_out=3 + n, segs_in=3 + n, last_ack=0.9, last_data=1.0 + n) for n in range(60)]
    assert not any(looks(*walk))


def test_an_answer_starts_it_anew() -> None:
    walk = [state(segs_out=3 + n, last_ack=1.0 + n) for n in range(7)]
    walk += [state(segs_out=10 + n, segs_in=4, last_ack=0.1 + n) for n in range(9)]
    assert looks(*walk).index(True) == 7 + GIVE_UP_AFTER


def test_time_alone_is_no_proof() -> None:
    """A sleeping machine, or a path so slow that TCP has hardly repeated anything."""
    assert looks(state(last_ack=600.0), state(segs_out=2 + UNANSWERED, last_ack=601.0)) == [False, False]


def test_repetitions_before_the_first_look_count() -> None:
    """A command that is not acknowledged keeps the kernel from asking; it is repeated, ever more slowly."""
    walk = [state(segs_out=5, last_ack=1.0, retransmits=2), state(segs_out=8, last_ack=8.0, retransmits=5)]
    assert looks(*walk) == [False, True]


def test_stuck_when_the_gap_is_not_filled() -> None:
    walk = [state(last_data=second, last_ack=0.5) for second in (1.0, 2.0, STUCK_AFTER)]
    assert looks(*walk, stuck=True) == [False, False, True]
    assert not any(looks(*walk))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
    ):
        theirs, _ = server.accept()
        with theirs:
            ours.setblocking(False)
            yield ours, theirs


def test_a_living_peer_is_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    watch = Watch(pair[0])
    assert not pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert watch.look(1.0) is None
    assert watch.look(2.0) is None
    assert (watch.soft_error, watch.ended_by) == (None, None)
    if tcp.LINUX:
        assert pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_soft_error_is_kept_and_ends_nothing(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter(["EHOSTUNREACH", None])
    monkeypatch.setattr(tcp, "soft_error", lambda _: next(found))
    watch = Watch(pair[0])
    assert watch.look(1.0) is None
    assert watch.look(2.0) is None
    assert (watch.soft_error, watch.ended_by) == ("EHOSTUNREACH", None)


@pytest.mark.skipif(not tcp.LINUX, reason="nothing is looked at elsewhere")
def test_a_reset_found_by_the_watch_is_no_soft_error(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    watch = Watch(ours)
    assert watch.look(1.0) is None
    assert watch.soft_error is None
    assert isinstance(watch.ended_by, ConnectionResetError)


def test_nothing_is_touched_on_another_system(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "LINUX", False)
    watch = Watch(pair[0])
    assert watch.look(1.0) is None
    assert watch.tcp_info(1.0) is None
    assert not pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
