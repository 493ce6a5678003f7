"""The public functions: build, load, predict, evaluate, export."""

from mitozoo.api.evaluating import evaluate
from mitozoo.api.exporting import export
from mitozoo.api.loading import DEFAULT_MODEL, build, load
from mitozoo.api.predicting import predict

__all__ = ["DEFAULT_MODEL", "build", "evaluate", "export", "load", "predict"]
