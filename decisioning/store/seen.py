"""Rows of the all-customers frame come in; which of them say something new since they were last looked at comes out."""

from typing import NamedTuple

import numpy as np
import polars as pl

from .people import CUSTOMER, VERSION


class Seen(NamedTuple):
    """Customers by rising id, and in which version each was seen: arrays as long as there are customers."""

    customers: np.ndarray
    versions: np.ndarray

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Seen":
        """Everybody in a frame, each of whom stands there once."""
        customers, versions = (frame[name].to_numpy() for name in (CUSTOMER, VERSION))
        order = np.argsort(customers, kind="stable")
        return cls(customers[order], versions[order])

    def newer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Its rows of customers who were not seen yet, or in an earlier version."""
        places, known = self._places(frame[CUSTOMER].to_numpy())
        before = self.versions.take(places, mode="clip") if len(self.versions) else places
        return frame.filter(pl.Series(~known | (frame[VERSION].to_numpy() > before)))

    def and_then(self, frame: pl.DataFrame) -> "Seen":
        """These, with everybody in a frame as they were seen there."""
        told = Seen.of(frame)
        places, known = self._places(told.customers)
        versions = self.versions.copy()
        versions[places[known]] = told.versions[known]
        new = places[~known]
        return Seen(
            np.insert(self.customers, new, told.customers[~known]), np.insert(versions, new, told.versions[~known])
        )

    def _places(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each of these stands or would stand, and whether they do."""
        places = np.searchsorted(self.customers, customers)
        if not len(self.customers):
            return places, np.zeros(len(customers), dtype=bool)
        return places, self.customers.take(places, mode="clip") == customers
