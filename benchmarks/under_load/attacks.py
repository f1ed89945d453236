"""What a stranger can do to a service without a key, from loopback addresses alone and within bounds.

Each attack is a coroutine that goes on until it is cancelled. Those that open connections keep a bounded
number of them and pause between attempts.
"""

import asyncio
import contextlib
import random
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from multiprocessing.queues import Queue

FORM = "content-type: application/x-www-form-urlencoded\r\n"
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 24)]
SAME_ADDRESS = ["127.0.0.1"]
LARGE_FORM, IDLE, SLOW = 8 * 1_048_576, 2_200, 140
FILES = 8_192
# Seconds after which a closed idle connection is opened again, on average: some 1,000 connections a second.
RECONNECT = 2.0


class Attacker:
    """Attacks on one port of this machine, from the given addresses; `answers` counts what came back."""

    def __init__(self, port: int, addresses: list[str]) -> None:
        self.port = port
        self.answers: Counter[str] = Counter()
        self._addresses = addresses
        self._draw = random.Random(1)  # noqa: S311 - which address, nothing secret

    def attacks(self) -> list[Coroutine[None, None, None]]:
        """All of them."""
        return [
            *(self._again(self.large_form) for _ in range(4)),
            *(self._again(self.slow_body) for _ in range(SLOW)),
            *(self._again(self.slow_header) for _ in range(SLOW)),
            *(self._again(self.idle, pause=RECONNECT) for _ in range(IDLE)),
            *(self._again(self.wrong_key) for _ in range(8)),
        ]

    async def large_form(self) -> None:
        """8 MB of fields to the sign-in page."""
        async with self._connection() as (reader, writer):
            writer.write(_head(LARGE_FORM))
            for _ in range(LARGE_FORM // 65_536):
                writer.write(b"a=1&" * 16_384)
                await writer.drain()
            await self._count("large form", reader)

    async def slow_body(self) -> None:
        """A form that comes byte by byte."""
        async with self._connection() as (reader, writer):
            writer.write(_head(1_000))
            await self._trickle("slow body", reader, writer)

    async def slow_header(self) -> None:
        """A header that never ends."""
        async with self._connection() as (reader, writer):
            writer.write(b"GET /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
            await self._trickle("slow header", reader, writer)

    async def idle(self) -> None:
        """A connection on which nothing is sent."""
        async with self._connection() as (reader, _):
            await self._count("idle", reader)

    async def wrong_key(self) -> None:
        """A key that is none, in the sign-in form."""
        async with self._connection() as (reader, writer):
            body = f"key=dnap_{self._draw.getrandbits(32):08x}_{'A' * 43}".encode()
            writer.write(_head(len(body)) + body)
            await self._count("wrong key", reader)

    async def _again(self, attack: Callable[[], Coroutine[None, None, None]], *, pause: float = 0.2) -> None:
        while True:
            try:
                await attack()
            except (OSError, TimeoutError) as error:  # hung up on while it was sending, or not let in
                self.answers[f"{attack.__name__.replace('_', ' ')}: {type(error).__name__}"] += 1
            await asyncio.sleep(self._draw.uniform(0.5, 1.5) * pause)

    async def _trickle(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = asyncio.ensure_future(self._count(name, reader))
        try:
            while not answer.done():
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait({answer}, timeout=1)
        finally:
            answer.cancel()

    async def _count(self, name: str, reader: asyncio.StreamReader) -> None:
        """Wait for an answer or the end of the connection."""
        words = (await reader.read(64)).split()
        self.answers[f"{name}: {words[1].decode() if len(words) > 1 else 'closed'}"] += 1

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        source = (self._draw.choice(self._addresses), 0)
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=source)
        try:
            yield reader, writer
        finally:
            writer.close()


def attack(port: int, addresses: list[str], seconds: float, out: "Queue[dict[str, int]]") -> None:
    """Do all of it for so long, in a process of its own, and say what was answered."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    attacker = Attacker(port, addresses)

    async def everything() -> None:
        tasks = [asyncio.ensure_future(each) for each in attacker.attacks()]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(everything())
    out.put(dict(attacker.answers))


def _head(length: int) -> bytes:
    return f"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1\r\n{FORM}content-length: {length}\r\n\r\n".encode()
