"""What both doors do with a request: find the model, check, run, count."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

import numpy as np

from mitozoo.serving.engine import Engine
from mitozoo.serving.loaded import ServedVersion
from mitozoo.serving.metrics import Metrics
from mitozoo.serving.signature import Signature, Tensors, pick
from mitozoo.serving.status import Refused
from mitozoo.serving.versions import Asked, Versions


class Service:
    """The models, the engine that runs them, and the metrics of a server."""

    def __init__(self, versions: Versions, engine: Engine, metrics: Metrics) -> None:
        """Args: versions, engine, metrics."""
        self.versions, self.engine, self.metrics = versions, engine, metrics

    def find(self, asked: Asked, signature: str) -> tuple[ServedVersion, Signature]:
        """Raises: Refused for a model, version or signature that there is not."""
        served = self.versions.find(asked)
        return served, pick(served.signatures, signature)

    async def predict(self, served: ServedVersion, signature: str, given: Mapping[str, np.ndarray]) -> Tensors:
        """Raises: Refused."""
        wanted, inputs = served.prepare(signature, given)
        return await self.engine.run(served, wanted, inputs)

    @contextlib.contextmanager
    def counted(self, model: str, entrypoint: str) -> Iterator[None]:
        """Count the request that is made inside."""
        start, status = time.perf_counter(), "OK"
        try:
            yield
        except Refused as error:
            status = error.code.name
            raise
        except Exception:
            status = "INTERNAL"
            raise
        except BaseException:
            status = "CANCELLED"
            raise
        finally:
            known = model if model in self.versions.available() else ""
            self.metrics.request(known, status, entrypoint, time.perf_counter() - start)
