"""The score-to-quality table: what each subnet is predicted to reach on a tile with given scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.quality import psnr_of_mse
from arm_batch.core.score import Score
from arm_batch.errors import LadderError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
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
    tiles: NDArray[np.int64]
    provenance: dict[str, str]

    def __post_init__(self) -> None:
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
        if not (np.isfinite(self.mse).all() and np.isfinite(self.standard_error).all()):
            raise LadderError("LUT: values are missing or not finite")
        if np.isnan(self.psnr_db).any():
            raise LadderError("LUT: values are missing or not finite")
        if (np.diff(self.edges) <= 0).any() or (np.diff(self.cuts, axis=1) < 0).any():
            raise LadderError("LUT: bin edges do not ascend")

    @property
    def n_bins(self) -> int:
        """Number of score bins."""
        return int(self.cuts.shape[0]) * (int(self.cuts.shape[1]) + 1)

    def bin_of(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        """The bin of each tile; a score on an edge belongs to the upper bin.

        Args:
            scores: ``(n, n_scores)``, as `score_tiles` gives them.

        Returns:
            ``(n,)``.
        """
        first = np.searchsorted(self.edges, scores[:, 0], side="right")
        second = (scores[:, -1:] >= self.cuts[first]).sum(axis=1)
        return np.asarray(first * (self.cuts.shape[1] + 1) + second, np.intp)

    def histogram(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Tiles per bin, ``(n_bins,)``, of tiles with these scores, ``(n, n_scores)``."""
        return np.bincount(self.bin_of(scores), minlength=self.n_bins).astype(np.int64)

    def counts(self, scores: NDArray[np.float32], subnets: NDArray[np.intp], n_subnets: int) -> NDArray[np.int64]:
        """Tiles by bin and subnet ``(n_bins, n_subnets)``, of tiles with these scores on these subnets."""
        counted = np.zeros((self.n_bins, n_subnets), np.int64)
        np.add.at(counted, (self.bin_of(scores), subnets), 1)
        return counted

    def psnr_of(self, tiles: NDArray[np.int64], area: float) -> float:
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
        rows = {key: json.dumps(value) for key, value in document.items()}
        for key in ("cuts", "mse", "standard_error", "psnr_db"):
            rows[key] = rows[key].replace("], [", "],\n  [")
        return "{\n" + ",\n".join(f' "{key}": {text}' for key, text in rows.items()) + "\n}\n"

    @staticmethod
    def from_json(text: str) -> Lut:
        """Read what `to_json` wrote; `LadderError` when it is not a LUT."""
        try:
            document: dict[str, Any] = json.loads(text)
            edges = _floats(document["edges"], 1)
            return Lut(
                scores=tuple(Score(s["name"], tuple(map(float, s["weights"]))) for s in document["scores"]),
                edges=edges,
                cuts=_floats(document["cuts"], 2),
                mse=_floats(document["mse"], 2),
                psnr_db=_floats(document["psnr_db"], 2),
                standard_error=_floats(document["standard_error"], 2),
                tiles=np.array(document["tiles"], np.int64),
                provenance={str(name): str(value) for name, value in document["provenance"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LadderError(f"not a LUT: {error}") from error


def _floats(values: Sequence[Any], ndim: int) -> Floats:
    array = np.array(values, np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{array.ndim} dimensions instead of {ndim}")
    return array
