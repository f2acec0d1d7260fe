"""What a log calls a content or a placement in; the key it has here out. Pure."""

import re
from typing import Final

from .values import Misfit, shown

KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
OTHER_SIGNS: Final = re.compile(r"[^a-z0-9]+")


class Keys:
    """Keys are lower-case letters, digits and hyphens: "Mens E-Mail" becomes mens-e-mail. For one import.

    Two names that would become one key are refused, since nobody could tell the two afterwards.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The key. Raises Misfit for a name that no key can be made of, or that would become another one's."""
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = self._made(name)
        return key

    def _made(self, name: str) -> str:
        key = name if KEY.fullmatch(name) else OTHER_SIGNS.sub("-", name.casefold()).strip("-")
        if not KEY.fullmatch(key):
            raise Misfit(f"{shown(name)} makes no key; at most 100 letters a to z, digits and hyphens make one.")
        other = self._names.setdefault(key, name)
        if other != name:
            raise Misfit(f"{shown(name)} and {shown(other)} would both be the key {key}; rename one in the file.")
        return key
