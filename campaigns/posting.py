"""A request to somebody else's server in; what was answered, or why nothing was, out: bounded in time and in size.

The connection goes to an address that was judged (`addresses.py`), whatever the name says a moment later; redirects are
not followed, proxies and cookies not used. All of it runs in one event loop in a thread of its own, because only there
a limit holds for the whole of a call: a server that sends a byte a second never breaks a limit on single reads.
"""

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

import httpx

from .addresses import Limits, Place, Refused, Resolve, Unknown, allowed, place_of, resolve

log = logging.getLogger(__name__)

MOST_ADDRESSES: Final = 3  # of a host with many: so many are tried when the first cannot be connected to
RESOLVERS: Final = 8
SHOWN: Final = 2000  # characters of an answer that people get to see


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a call may take, in seconds, and how much of an answer is read, in bytes.

    `total` is for all of it; `body` for what comes after the answer's head, which is all that counts.
    """

    connect: float = 2.0
    total: float = 10.0
    body: float = 2.0
    read: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted where."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: the status with the beginning of the text, or the problem that left it without one.

    `refused`: we would not call that address. `retry_after` is the header of that name, as sent.
    """

    status: int | None = None
    text: str = ""
    problem: str = ""
    refused: bool = False
    retry_after: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Poster:
    """Posts any number of requests at once; a context manager that owns its connections.

    `limits` says what may be called, `resolve` how names become addresses.
    """

    limits: Limits
    bounds: Bounds = field(default_factory=Bounds)
    resolve: Resolve = resolve
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, init=False)
    _names: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(RESOLVERS), init=False)
    # One a host: connections to one address are shared, and two hosts at one address must not share any.
    _transports: dict[str, httpx.AsyncHTTPTransport] = field(default_factory=dict, init=False)
    _thread: Thread | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._loop.run_forever, name="posting", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()
        self._loop.close()
        self._names.shutdown(wait=False, cancel_futures=True)

    def post(self, request: Request) -> Future[Answer]:
        """Start a call; its future always ends with an answer, within `bounds.total` seconds and a little."""
        return asyncio.run_coroutine_threadsafe(self._post(request), self._loop)

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()

    async def _post(self, request: Request) -> Answer:
        started = self._loop.time()
        try:
            answer = await self._answer(request, started + self.bounds.total)
        except TimeoutError:
            answer = Answer(problem=f"No answer within {self.bounds.total:g} s.")
        except Unknown as error:
            answer = Answer(problem=str(error))
        except Refused as error:
            answer = Answer(problem=str(error), refused=True)
        except (httpx.HTTPError, OSError) as error:
            answer = Answer(problem=_words(error))
        except Exception as error:
            log.exception("a webhook could not be called")
            answer = Answer(problem=_words(error))
        return Answer(
            answer.status,
            answer.text,
            answer.problem,
            answer.refused,
            answer.retry_after,
            round(self._loop.time() - started, 3),
        )

    async def _answer(self, request: Request, stop_at: float) -> Answer:
        async with asyncio.timeout_at(stop_at):
            place = place_of(request.url, self.limits)
            found = await self._loop.run_in_executor(self._names, self.resolve, place.host, place.port)
            response = await self._reach(request, place, allowed(place.host, found, self.limits))
        try:
            text = await self._beginning(response, min(stop_at, self._loop.time() + self.bounds.body))
        finally:
            with suppress(httpx.HTTPError, OSError):
                await response.aclose()
        return Answer(response.status_code, text, retry_after=response.headers.get("retry-after", ""))

    async def _reach(self, request: Request, place: Place, addresses: list[str]) -> httpx.Response:
        """The head of the answer, from the first of these addresses that can be connected to."""
        transport = self._transports.get(place.host)
        if transport is None:
            transport = self._transports[place.host] = httpx.AsyncHTTPTransport(verify=_trusted())
        last: Exception | None = None
        for address in addresses[:MOST_ADDRESSES]:
            try:
                return await transport.handle_async_request(self._wire(request, place, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
        assert last is not None  # there is an address, and it neither answered nor raised anything else
        raise last

    def _wire(self, request: Request, place: Place, address: str) -> httpx.Request:
        """The request as it goes over the wire: to the address, in the name of the host."""
        total = self.bounds.total
        return httpx.Request(
            "POST",
            place.url.copy_with(host=address.partition("%")[0]),
            headers={**request.headers, "host": place.url.netloc.decode("ascii")},
            content=request.body,
            extensions={
                "timeout": {"connect": self.bounds.connect, "read": total, "write": total, "pool": total},
                "sni_hostname": place.host,
            },
        )

    async def _beginning(self, response: httpx.Response, stop_at: float) -> str:
        """What can be read of the answer's text in time and size; the status is known, so nothing here fails."""
        read = bytearray()
        with suppress(TimeoutError, httpx.HTTPError, OSError):
            async with asyncio.timeout_at(stop_at):
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) >= self.bounds.read:
                        break
        return bytes(read[: self.bounds.read]).decode("utf-8", "replace")[:SHOWN]


_contexts: list[Any] = []


def _trusted() -> Any:
    """The certificate authorities, read once: that takes as long as a hundred calls."""
    if not _contexts:
        _contexts.append(httpx.create_ssl_context())
    return _contexts[0]


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
