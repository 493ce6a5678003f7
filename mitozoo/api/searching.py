"""What predict, evaluate and tune share: searching with a bar, and searching labelled fields."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mitozoo.base.errors import DataError
from mitozoo.base.progress import progress_bar

if TYPE_CHECKING:
    from mitozoo.data.dataset import Field
    from mitozoo.evaluation.fields import FieldFound, FieldTruth
    from mitozoo.inference.journal import RunJournal
    from mitozoo.inference.result import FieldResult
    from mitozoo.inference.session import Search
    from mitozoo.inference.slide_search import TileProgress
    from mitozoo.inference.view import View


class Searched(NamedTuple):
    """Labelled fields after a search: what is known of each, what was found, and how many have an assumed spacing."""

    truths: list[FieldTruth]
    found: list[FieldFound]
    assumed: int


def results_of(
    search: Search,
    images: Sequence[tuple[str, Path]],
    *,
    spacing: Mapping[Path, float | None] | None = None,
    title: str = "Searching",
    quiet: bool = True,
    journal: RunJournal | None = None,
) -> Iterator[tuple[FieldResult, View | None]]:
    """Search (name, path) pairs as `Search.images`, under a bar that counts every model and view of every image.

    Of a slide the bar says tiles, area and the seconds that are left.
    Yields: results and what to draw on. An image counts as done once the caller asks for the next, and has written its
    files.
    """
    each = search.predictor.opinions
    with progress_bar(title, each * len(images), quiet=quiet) as tell:
        done = 0

        def told() -> None:
            nonlocal done
            # The last opinion is not the end: the files are still to be written.
            if done % each < each - 1:
                done += 1
                tell(done, images[done // each][0])

        def tiled(at: TileProgress) -> None:
            note = (
                f"{images[done // each][0]}: {at.tiles} of {at.of_tiles} tiles, {at.mm2:.2f} of {at.of_mm2:.2f} mm², "
                f"{at.seconds_left:.0f} s left"
            )
            tell(done + min(int(each * at.tiles / at.of_tiles), each - 1), note)

        every = search.images(images, spacing=spacing, tell=told, tell_tile=tiled, journal=journal)
        # Not enumerate, nor names for the parts: they would keep an image in memory while the next is searched.
        for found in every:
            name = found[0].name
            yield found
            del found
            done = (done // each + 1) * each
            tell(done, name)


def search_fields(
    search: Search, wanted: Sequence[tuple[tuple[str, Path], Field]], *, title: str = "Fields", quiet: bool = True
) -> Searched:
    """Search fields with complete labels.

    Args: search; wanted, the fields, each with its name and path; title of the bar; quiet, no bar.
    Raises: InputError, LabelError before any search for an image that does not fit its labels; DataError for one that
    cannot be searched.
    """
    from mitozoo.evaluation.truths import check_images, field_found, field_truth

    check_images(field for _, field in wanted)
    truths, found, assumed = [], [], 0
    spacing = {field.path: field.um_per_px for _, field in wanted}
    results = results_of(search, [image for image, _ in wanted], spacing=spacing, title=title, quiet=quiet)
    with contextlib.closing(results):
        for (_, field), (result, _) in zip(wanted, results, strict=True):
            if not result.ok:
                raise DataError(result.status)
            truths.append(field_truth(result, field))
            found.append(field_found(result))
            assumed += result.spacing_source == "assumed"
    return Searched(truths, found, assumed)
