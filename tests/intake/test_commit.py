"""Group commit: durable before the answer, and an answer within a second whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from cronwax.intake import commit as module
from cronwax.intake.commit import GroupCommit, NotTaken


class Disk:
    """A log that does what a test wants."""

    def __init__(self) -> None:
        self.groups: list[dict[int, list[bytes]]] = []
        self.error: int | None = None
        self.is_free = threading.Event()
        self.is_free.set()
        self.is_asked = threading.Event()

    def commit(self, groups, now_us):
        self.is_asked.set()
        self.is_free.wait(10)
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        self.groups.append({partition: list(entries) for partition, entries in groups.items()})
        return dict.fromkeys(groups, len(self.groups))


async def asked(disk: Disk) -> None:
    """Wait until the disk has something to write."""
    await asyncio.to_thread(disk.is_asked.wait, 10)


def with_commit(disk: Disk, test: Callable[[GroupCommit], Awaitable[None]]) -> None:
    async def run() -> None:
        commit = GroupCommit(disk, lambda: 0)
        await test(commit)
        disk.is_free.set()
        await commit.close()

    asyncio.run(run())


def test_what_comes_while_the_disk_is_busy_is_one_group():
    disk = Disk()

    async def test(commit: GroupCommit) -> None:
        disk.is_free.clear()
        first = asyncio.create_task(commit.add([(0, b"a")]))
        await asked(disk)
        others = [asyncio.create_task(commit.add([(0, b"%d" % n), (1, b"x")])) for n in range(3)]
        await asyncio.sleep(0)  # now they are in the queue
        assert not first.done()
        disk.is_free.set()
        assert await first == {0: 1}
        assert await asyncio.gather(*others) == [{0: 2, 1: 2}] * 3

    with_commit(disk, test)
    assert disk.groups == [{0: [b"a"]}, {0: [b"0", b"1", b"2"], 1: [b"x"] * 3}]


def test_a_disk_that_does_not_answer_is_a_refusal_within_a_second():
    disk = Disk()

    async def test(commit: GroupCommit) -> None:
        disk.is_free.clear()
        began = time.monotonic()
        with pytest.raises(NotTaken, match="does not answer"):
            await commit.add([(0, b"a")])
        assert time.monotonic() - began < 1.0
        assert not commit.is_stuck()  # the thread has it; what comes next waits in the queue
        with pytest.raises(NotTaken):
            await commit.add([(0, b"b")])
        assert commit.is_stuck()

    with_commit(disk, test)


def test_a_full_disk_is_a_refusal_until_there_is_room():
    disk = Disk()
    disk.error = errno.ENOSPC

    async def test(commit: GroupCommit) -> None:
        with pytest.raises(NotTaken, match="No space left"):
            await commit.add([(0, b"a")])
        assert commit.problem == "No space left on device"
        disk.error = None
        async with asyncio.timeout(10):
            while commit.problem is not None:  # without trying, for a while
                with suppress(NotTaken):
                    await commit.add([(0, b"b")])

    with_commit(disk, test)
    assert disk.groups == [{0: [b"b"]}]


def test_more_than_fits_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10)
    disk = Disk()

    async def test(commit: GroupCommit) -> None:
        disk.is_free.clear()
        first = asyncio.create_task(commit.add([(0, b"a")]))
        await asked(disk)
        second = asyncio.create_task(commit.add([(0, b"b" * 10)]))
        await asyncio.sleep(0)
        with pytest.raises(NotTaken, match="too much"):
            await commit.add([(0, b"c")])
        disk.is_free.set()
        await asyncio.gather(first, second)

    with_commit(disk, test)


def test_what_was_taken_before_the_stop_is_written():
    disk = Disk()

    async def test(commit: GroupCommit) -> None:
        task = asyncio.create_task(commit.add([(0, b"a")]))
        await asyncio.sleep(0)
        await commit.close()
        await task
        with pytest.raises(NotTaken, match="stopping"):
            await commit.add([(0, b"b")])

    with_commit(disk, test)
    assert disk.groups == [{0: [b"a"]}]
