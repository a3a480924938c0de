"""The edge-to-quality table: what each subnet is predicted to reach on a tile with a given edge score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arm_batch.core.quality import psnr_of_mse
from arm_batch.errors import LadderError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lut:
    """Predicted error per score bin and subnet, cheapest subnet first.

    Source: the Edge-to-PSNR table of Chen et al., "ARM: Any-Time Super-Resolution Method", ECCV 2022. Beside the
    mean PSNR of the tiles it holds their mean squared error: squared errors add up over an image, dB
    do not.

    Attributes:
        edges: ascending bin edges ``(n_bins + 1,)``; scores beyond either end count in the last bin there.
        mse: mean squared error per bin and subnet, ``(n_bins, n_subnets)``, in squared 8-bit grey levels;
            never rises with cost.
        psnr_db: mean over tiles of the tile's PSNR, same shape.
        tiles: tiles the bin was measured on, ``(n_bins,)``.
        provenance: what the table was built from (hashes of weights and data).
    """

    edges: Floats
    mse: Floats
    psnr_db: Floats
    tiles: NDArray[np.int64]
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        bins, subnets = self.mse.shape
        if self.edges.shape != (bins + 1,) or self.tiles.shape != (bins,):
            raise LadderError("LUT: edges, counts and values do not fit together")
        if self.psnr_db.shape != (bins, subnets) or not np.isfinite(self.mse).all():
            raise LadderError("LUT: values are missing or not finite")
        if (np.diff(self.edges) <= 0).any():
            raise LadderError("LUT: bin edges do not ascend")

    @property
    def n_bins(self) -> int:
        """Number of score bins."""
        return len(self.tiles)

    def bin_of(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        """The bin of each score; a score on an inner edge belongs to the upper bin."""
        return np.searchsorted(self.edges[1:-1], scores, side="right")

    def histogram(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Tiles per bin, ``(n_bins,)``."""
        return np.bincount(self.bin_of(scores), minlength=self.n_bins).astype(np.int64)

    def psnr_of(self, tiles: NDArray[np.int64]) -> float:
        """Predicted PSNR in dB of an image with ``tiles[bin, subnet]`` tiles, from their pooled error."""
        return float(psnr_of_mse((self.mse * tiles).sum() / tiles.sum()))

    def to_json(self) -> str:
        """One readable document; `from_json` reads it back exactly."""
        document = {
            "edges": self.edges.tolist(),
            "mse": self.mse.tolist(),
            "psnr_db": self.psnr_db.tolist(),
            "tiles": self.tiles.tolist(),
            "provenance": self.provenance,
        }
        return json.dumps(document, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Lut:
        """Read what `to_json` wrote; `LadderError` when it is not a LUT."""
        try:
            document: dict[str, Any] = json.loads(text)
            return Lut(
                edges=np.array(document["edges"], np.float64),
                mse=np.array(document["mse"], np.float64),
                psnr_db=np.array(document["psnr_db"], np.float64),
                tiles=np.array(document["tiles"], np.int64),
                provenance=dict(document["provenance"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise LadderError(f"not a LUT: {error}") from error
