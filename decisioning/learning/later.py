"""The name of a heavy module comes in; what stands for it, and imports it when something of it is first used, goes out.

Most processes never train: LightGBM with scikit-learn, SciPy and pandas behind it costs a start more than a second and
each process 100 MB.
"""

from importlib import import_module
from typing import Any


class Later:
    """A module that is imported with the first of its attributes that is asked for; after `first`, where it is given.

    Any number of threads may ask at once: the import system lets one do it and the others wait.
    """

    def __init__(self, name: str, first: str = "") -> None:
        self._name, self._first = name, first

    def __getattr__(self, attribute: str) -> Any:
        if self._first:
            import_module(self._first)
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found
