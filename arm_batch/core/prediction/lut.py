"""The score-to-quality table: what each subnet is predicted to reach on a tile with given scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from arm_batch.core.arrays import Counts, Floats, Indices, Singles
from arm_batch.core.json_records import Amount, Record, decode_record, sealed
from arm_batch.core.prediction.metrics import PEAK, psnr_of_mse
from arm_batch.core.tiling.scores import Score
from arm_batch.errors import LadderError

REMEDY = "put the ladder's file back, or build the ladder anew with `arm-batch build-lut`"
"""What a user can do about a damaged ladder."""

REFERENCE = "reference"
"""Key of a table's provenance: the rung that its errors are distances from, where they are not from originals."""

_Error = Annotated[float, msgspec.Meta(ge=0, le=PEAK**2)]
_Decibels = Annotated[float, msgspec.Meta(ge=0, le=200)]
_Weight = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
_Tiles = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


@dataclass(frozen=True, kw_only=True)
class Lut:
    """Predicted error per score bin and subnet, cheapest subnet first.

    Source: the Edge-to-PSNR table of Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022. Beside the
    mean PSNR of the tiles it holds their mean squared error: squared errors add up over an image, dB
    do not.

    With two scores the second divides each bin of the first into as many again. Bins are numbered through, the
    second score running fastest, so that whoever counts tiles per bin need not know how many scores there are.

    Attributes:
        scores: one or two; tiles inside a bin are ranked by the first.
        edges: inner edges of the first score, ascending, ``(n_first - 1,)``.
        cuts: inner edges of the second score inside each bin of the first, ``(n_first, n_second - 1)``; equal ones
            leave a bin between them empty. With one score ``(n_first, 0)``.
        mse: mean squared error per bin and subnet, ``(n_bins, n_subnets)``, in squared 8-bit grey levels;
            never rises with cost.
        psnr_db: mean over tiles of the tile's PSNR, same shape.
        standard_error: of the measured mean squared errors, same shape, taking the tiles of one image as one
            observation; 0 where a bin held no tile and was filled from its neighbours.
        tiles: tiles the bin was measured on, ``(n_bins,)``.
        provenance: what the table was built from (hashes of weights and data).
    """

    scores: tuple[Score, ...]
    edges: Floats
    cuts: Floats
    mse: Floats
    psnr_db: Floats
    standard_error: Floats
    tiles: Counts
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        if len(self.scores) not in (1, 2) or self.cuts.ndim != 2:
            raise LadderError("LUT: one or two scores are needed, and cuts for each bin of the first")
        if len(self.scores) == 1 and self.cuts.shape[1] != 0:
            raise LadderError("LUT: cuts need a second score")
        if self.edges.shape != (self.cuts.shape[0] - 1,) or self.tiles.shape != (self.n_bins,):
            raise LadderError("LUT: edges, cuts and counts do not fit together")
        if self.mse.ndim != 2 or len(self.mse) != self.n_bins:
            raise LadderError("LUT: there must be one row of values for each bin")
        if not self.mse.shape == self.psnr_db.shape == self.standard_error.shape:
            raise LadderError("LUT: the tables of values differ in shape")

    def _check_values(self) -> None:
        values = (self.edges, self.cuts, self.mse, self.psnr_db, self.standard_error)
        if not all(np.isfinite(array).all() for array in values):
            raise LadderError("LUT: values are missing or not finite")
        if (self.mse < 0).any() or (self.standard_error < 0).any() or (self.tiles < 0).any():
            raise LadderError("LUT: errors and counts cannot be less than 0")
        if (np.diff(self.edges) <= 0).any() or (np.diff(self.cuts, axis=1) < 0).any():
            raise LadderError("LUT: bin edges do not ascend")

    @property
    def n_bins(self) -> int:
        """Number of score bins."""
        return int(self.cuts.shape[0]) * (int(self.cuts.shape[1]) + 1)

    @property
    def reference(self) -> str | None:
        """The rung that errors are distances from, so that dB are closeness to it; None where it is the truth."""
        return self.provenance.get(REFERENCE)

    def bin_of(self, scores: Singles) -> Indices:
        """The bin of each tile; a score on an edge belongs to the upper bin.

        Args:
            scores: ``(n, n_scores)``, as `score_tiles` gives them.

        Returns:
            ``(n,)``.
        """
        first = np.searchsorted(self.edges, scores[:, 0], side="right")
        second = (scores[:, -1:] >= self.cuts[first]).sum(axis=1)
        return np.asarray(first * (self.cuts.shape[1] + 1) + second, np.intp)

    def histogram(self, scores: Singles) -> Counts:
        """Tiles per bin, ``(n_bins,)``, of tiles with these scores, ``(n, n_scores)``."""
        return np.bincount(self.bin_of(scores), minlength=self.n_bins).astype(np.int64)

    def counts(self, scores: Singles, subnets: Indices, n_subnets: int) -> Counts:
        """Tiles by bin and subnet ``(n_bins, n_subnets)``, of tiles with these scores on these subnets."""
        counted = np.zeros((self.n_bins, n_subnets), np.int64)
        np.add.at(counted, (self.bin_of(scores), subnets), 1)
        return counted

    def psnr_of(self, tiles: Counts, area: float) -> float:
        """Predicted PSNR in dB from the pooled squared error of ``tiles[bin, subnet]`` tiles.

        Args:
            tiles: ``(n_bins, n_subnets)``.
            area: of the images they cover, in tiles: less than their number where some reach beyond the border.
        """
        return float(psnr_of_mse((self.mse * tiles).sum() / area))

    def to_json(self) -> str:
        """One readable document; `from_json` reads it back exactly."""
        document = {
            "scores": [asdict(score) for score in self.scores],
            "edges": self.edges.tolist(),
            "cuts": self.cuts.tolist(),
            "tiles": self.tiles.tolist(),
            "mse": self.mse.tolist(),
            "standard_error": self.standard_error.tolist(),
            "psnr_db": self.psnr_db.tolist(),
            "provenance": self.provenance,
        }
        rows = {key: json.dumps(value) for key, value in sealed(document, _Record).items()}
        for key in ("cuts", "mse", "standard_error", "psnr_db"):
            rows[key] = rows[key].replace("], [", "],\n  [")
        return "{\n" + ",\n".join(f' "{key}": {text}' for key, text in rows.items()) + "\n}\n"

    @staticmethod
    def from_json(data: bytes, where: str) -> Lut:
        """Read what `to_json` wrote; `LadderError` naming `where` when it is not a LUT."""
        record = decode_record(data, _Record, where, LadderError)
        try:
            return Lut(
                scores=tuple(Score(score.name, score.weights) for score in record.scores),
                edges=np.array(record.edges, np.float64),
                cuts=_table(record.cuts),
                mse=_table(record.mse),
                psnr_db=_table(record.psnr_db),
                standard_error=_table(record.standard_error),
                tiles=np.array(record.tiles, np.int64),
                provenance=record.provenance,
            )
        except (ValueError, LadderError) as error:
            raise LadderError(f"{where} is not {record.what}: {error}; {record.remedy}") from error


class _ScoreRecord(Record, frozen=True):
    """A `Score` in JSON."""

    name: str
    weights: tuple[_Weight, ...]


class _Record(Record, frozen=True):
    """A `Lut` in JSON."""

    what: ClassVar[str] = "a LUT"
    remedy: ClassVar[str] = REMEDY
    format: ClassVar[int] = 1

    scores: tuple[_ScoreRecord, ...]
    edges: tuple[float, ...]
    cuts: tuple[tuple[float, ...], ...]
    mse: tuple[tuple[_Error, ...], ...]
    psnr_db: tuple[tuple[_Decibels, ...], ...]
    standard_error: tuple[tuple[Amount, ...], ...]
    tiles: tuple[_Tiles, ...]
    provenance: dict[str, str]


def _table(rows: Sequence[Sequence[float]]) -> Floats:
    """``(n, m)``; `ValueError` where rows differ in length."""
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of a table differ in length")
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows and rows[0] else 0)
