"""Broadcasts, the frames they carry, and subscribers that are too slow for them."""

import asyncio

import pytest

from daemons.kit.sse import Broadcast, Burst, Frame

KILOBYTE = b"x" * 1024


def frame(number: int) -> Frame:
    return Frame("job", b"%d" % number, number)


async def test_every_subscriber_gets_every_frame_published_while_it_listens() -> None:
    broadcast = Broadcast()
    broadcast.publish(frame(0))
    assert broadcast.watchers == 0
    with broadcast.subscribed() as one, broadcast.subscribed() as two:
        found = broadcast.watchers
        assert found == 2
        broadcast.publish(frame(1))
        broadcast.publish(frame(2), frame(3))
        first, second = await one.next(1), await two.next(1)
        assert first is not None and second is not None
        assert [each.id for burst in first for each in burst.frames] == [1, 2, 3]
        assert all(mine is theirs for mine, theirs in zip(first, second, strict=True))
    assert broadcast.watchers == 0


async def test_silence_is_told_apart_from_the_end() -> None:
    broadcast = Broadcast()
    with broadcast.subscribed() as subscription:
        with pytest.raises(TimeoutError):
            await subscription.next(0)
        broadcast.close()
        assert await subscription.next(1) is None
        assert await subscription.next(1) is None


async def test_one_that_falls_behind_is_cut_off_and_counted_and_the_others_are_not() -> None:
    broadcast = Broadcast()
    with broadcast.subscribed() as slow, broadcast.subscribed() as quick:
        for number in range(1500):
            broadcast.publish(Frame("job", KILOBYTE, number))
            assert len(await quick.next(1) or ()) == 1
        assert await slow.next(1) is None
        assert broadcast.dropped == 1


async def test_a_burst_of_any_size_reaches_a_subscriber_that_keeps_up() -> None:
    broadcast = Broadcast()
    with broadcast.subscribed() as subscription:
        broadcast.publish(*(Frame("job", KILOBYTE, number) for number in range(5000)))
        taken = await subscription.next(1)
        assert taken is not None and len(taken[0].frames) == 5000 and broadcast.dropped == 0


async def test_a_waiting_subscriber_is_woken_by_the_end() -> None:
    broadcast = Broadcast()
    with broadcast.subscribed() as subscription:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(subscription.next(10))
            group.create_task(asyncio.to_thread(lambda: None)).add_done_callback(lambda _: broadcast.close())
    assert waiting.result() is None


def test_a_frame_is_written_as_the_standard_says() -> None:
    assert Frame("job", b'{"a":1}', 7).wire == b'id: 7\nevent: job\ndata: {"a":1}\n\n'
    assert Frame("beat", b"{}").wire == b"event: beat\ndata: {}\n\n"


def test_of_a_burst_one_gets_what_it_lacks_and_what_has_no_number() -> None:
    burst = Burst([frame(1), Frame("beat", b"{}"), frame(2)])
    assert burst.after(0) is burst.wire
    assert burst.after(1) == Frame("beat", b"{}").wire + frame(2).wire
    assert burst.after(2) == Frame("beat", b"{}").wire
