"""Loss curves of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitozoo.base.files import whole_file


def plot_history(history: list[dict[str, Any]], path: Path) -> None:
    """Draw training and validation loss by epoch, one panel a stage, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    stages = list(dict.fromkeys(row["stage"] for row in history))
    figure, axes = pyplot.subplots(1, len(stages), figsize=(1 + 3.6 * len(stages), 3.4), squeeze=False)
    for axis, stage in zip(axes[0], stages, strict=True):
        rows = [row for row in history if row["stage"] == stage]
        epochs = [row["epoch"] for row in rows]
        axis.plot(epochs, [row["loss"] for row in rows], color="#7a2a6b", label="training")
        if "val_loss" in rows[0]:
            axis.plot(epochs, [row["val_loss"] for row in rows], color="#1b7f79", label="held-out cases")
        axis.set(title=stage, xlabel="epoch", ylabel="loss")
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][-1].legend(frameon=False)
    figure.tight_layout()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=130)
    pyplot.close(figure)
