"""Requests wait, are put together, and run; one that nobody waits for any more is dropped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mitozoo.serving.loaded import ServedVersion
from mitozoo.serving.metrics import Metrics
from mitozoo.serving.rows import Outcome, batch_key, run_together
from mitozoo.serving.signature import Signature, Tensors, rows_of
from mitozoo.serving.status import Code, Refused

log = logging.getLogger(__name__)
#: Items that are run together at most; a request of more is run alone.
MAX_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is taken on.

    Attributes: queue, requests that wait at most; workers, batches that run at a time; timeout_s, from the first byte
    of a request to its answer; batching, whether requests are put together.
    """

    queue: int = 32
    workers: int = 2
    timeout_s: float = 60.0
    batching: bool = True


@dataclass(eq=False)
class _Job:
    version: ServedVersion
    signature: Signature
    inputs: Tensors
    key: tuple | None
    answer: asyncio.Future[Tensors] = field(repr=False)


class Engine:
    """Runs models for the two doors (REST and gRPC) of a server; all methods belong to one event loop."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        """Args: limits; metrics that are kept."""
        self.limits, self.metrics = limits, metrics
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="model")
        self._waiting: deque[_Job] = deque()
        self._admitted = self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Take a place for a request, from its first byte to its answer.

        Raises: Refused where all places are taken, or the time is up.
        """
        if self._admitted >= self.limits.queue + self.limits.workers:
            raise Refused(Code.UNAVAILABLE, f"The server is busy: {self.limits.queue} requests wait. Try again later.")
        self._admitted += 1
        self.metrics.admitted.set(self._admitted)
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                yield
        except TimeoutError:
            text = f"No answer within {self.limits.timeout_s:g} s. Send smaller images, or raise --timeout-s."
            raise Refused(Code.DEADLINE_EXCEEDED, text) from None
        finally:
            self._admitted -= 1
            self.metrics.admitted.set(self._admitted)

    async def run(self, version: ServedVersion, signature: Signature, inputs: Tensors) -> Tensors:
        """Run a signature on inputs that were prepared for it. Raises: Refused."""
        key = batch_key(signature, inputs) if self.limits.batching else None
        job = _Job(version, signature, inputs, key, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._start_what_waits()
        try:
            return await job.answer
        finally:
            # Who hung up or was out of time needs no answer; what runs already cannot be stopped.
            if job in self._waiting:
                self._waiting.remove(job)

    async def finished(self) -> None:
        """Wait for what runs, then let go of the threads."""
        await self._idle.wait()
        self._threads.shutdown()

    def _start_what_waits(self) -> None:
        while self._waiting and self._running < self.limits.workers:
            jobs = self._next_jobs()
            self._running += 1
            self._idle.clear()
            task = asyncio.get_running_loop().create_task(self._run(jobs))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next_jobs(self) -> list[_Job]:
        """The first that waits, and those that can be run with it."""
        first = self._waiting.popleft()
        jobs, rows = [first], rows_of(first.inputs)
        for job in list(self._waiting):
            fits = job.key is not None and job.key == first.key and job.signature is first.signature
            if fits and rows + rows_of(job.inputs) <= MAX_BATCH:
                self._waiting.remove(job)
                jobs.append(job)
                rows += rows_of(job.inputs)
        self.metrics.batch_size.observe(rows)
        return jobs

    async def _run(self, jobs: list[_Job]) -> None:
        first = jobs[0]
        run = lambda inputs: first.version.run(first.signature.name, inputs)  # noqa: E731
        try:
            outcomes: list[Outcome] = await asyncio.get_running_loop().run_in_executor(
                self._threads, run_together, run, [job.inputs for job in jobs], first.signature
            )
        except Exception as error:
            if not isinstance(error, Refused):
                log.exception("%s %s failed", first.version.name, first.version.version)
                error = Refused(Code.INTERNAL, f"{first.version.name} failed ({type(error).__name__}); see the log.")
            outcomes = [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not job.answer.done():
                job.answer.set_exception(outcome) if isinstance(outcome, Exception) else job.answer.set_result(outcome)
        self._running -= 1
        self._start_what_waits()
        if not self._running:
            self._idle.set()
