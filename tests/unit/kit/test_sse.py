"""Broadcasts and the frames they carry."""

import asyncio

import pytest

from daemons.kit.sse import Broadcast, Frame


async def test_every_subscriber_gets_every_item_published_while_it_listens() -> None:
    broadcast: Broadcast[int] = Broadcast()
    broadcast.publish(0)
    assert not broadcast.watched
    with broadcast.subscribed() as one, broadcast.subscribed() as two:
        assert broadcast.watched
        broadcast.publish(1)
        assert (await one.next(1), await two.next(1)) == (1, 1)
    assert not broadcast.watched


async def test_silence_is_told_apart_from_the_end() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.subscribed() as subscription:
        with pytest.raises(TimeoutError):
            await subscription.next(0)
        broadcast.close()
        assert await subscription.next(1) is None
        assert await subscription.next(1) is None


async def test_one_that_falls_behind_is_cut_off_and_the_others_are_not() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.subscribed() as slow, broadcast.subscribed() as quick:
        for number in range(1500):
            broadcast.publish(number)
            assert await quick.next(1) == number
        assert await slow.next(1) is None


async def test_a_waiting_subscriber_is_woken_by_the_end() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.subscribed() as subscription:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(subscription.next(10))
            group.create_task(asyncio.to_thread(lambda: None)).add_done_callback(lambda _: broadcast.close())
    assert waiting.result() is None


def test_a_frame_is_written_as_the_standard_says() -> None:
    assert Frame("job", b'{"a":1}', 7).encode() == b'id: 7\nevent: job\ndata: {"a":1}\n\n'
    assert Frame("beat", b"{}").encode() == b"event: beat\ndata: {}\n\n"
