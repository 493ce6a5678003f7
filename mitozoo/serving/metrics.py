"""Counts and times for Prometheus, under the names of TensorFlow Serving where it has them."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric

PATH = "/monitoring/prometheus/metrics"
_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
#: Bounds of the times in microseconds, as TensorFlow Serving gives them: from 1 ms up, doubling.
_BOUNDS_US = tuple(1000.0 * 2**i for i in range(17))


class _RequestCount:
    """Requests by model and status. prometheus_client would add `_total` to the name, which dashboards do not know."""

    def __init__(self) -> None:
        self.counts: Counts[tuple[str, str]] = Counts()

    def collect(self) -> Iterator[Metric]:
        """The samples of one look."""
        from prometheus_client import Metric

        metric = Metric(_COUNT, "Requests by model and status.", "untyped")
        for (model, status), count in sorted(self.counts.items()):
            metric.add_sample(_COUNT, {"model_name": model, "status": status}, count)
        yield metric


class Metrics:
    """The metrics of one server. Attributes: admitted, batch_size."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Gauge, Histogram

        # Not the registry of the process: tests run several servers in one.
        self._registry = CollectorRegistry()
        self._requests = _RequestCount()
        self._registry.register(self._requests)
        self._latency = Histogram(
            _LATENCY,
            "From the first byte of a request to its answer, in microseconds.",
            ["model_name", "API", "entrypoint"],
            buckets=_BOUNDS_US,
            registry=self._registry,
        )
        self.admitted = Gauge("mitozoo:serving:requests", "Requests that wait or run.", registry=self._registry)
        self.batch_size = Histogram(
            "mitozoo:serving:batch_size", "Items run together.", buckets=(1, 2, 4, 8, 16), registry=self._registry
        )

    def request(self, model: str, status: str, entrypoint: str, seconds: float) -> None:
        """Count a request.

        Args: model, "" for one that is not served, since anybody can name any; status, e.g. "OK".
        """
        self._requests.counts[model, status] += 1
        self._latency.labels(model, "predict", entrypoint).observe(seconds * 1e6)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
