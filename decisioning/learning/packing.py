"""Arrays with a text beside them come in; bytes that hold both come out, and the other way round. Never a pickle.

The bytes are a line of JSON, which says what follows, and the arrays' own bytes, little-endian, each from a multiple of
eight on. Reading copies nothing: arrays are views of the bytes.
"""

import hashlib
from collections.abc import Mapping
from mmap import mmap
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
TYPES: Final = ("<i4", "<i8", "<f4", "<f8")
ALIGNED: Final = 8
_text = msgspec.json.Encoder(order="deterministic")


class Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: what kind it is, its text, and {array: (type, length)} in their order."""

    kind: str
    text: dict[str, Any]
    arrays: dict[str, tuple[str, int]]
    digest: str


def packed(kind: str, text: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The bytes; the same content gives the same. Raises ValueError for arrays of other types than numbers."""
    plain = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    told = {name: (array.dtype.str, len(array)) for name, array in plain.items()}
    if odd := [name for name, (kept, _) in told.items() if kept not in TYPES or plain[name].ndim != 1]:
        raise ValueError(f"{odd[0]} is {plain[odd[0]].dtype} of {plain[odd[0]].ndim} dimensions; keep flat numbers.")
    body = b"".join(_padded(array.tobytes()) for array in plain.values())
    head = Packed(kind, dict(text), told, "")
    line = _text.encode(msgspec.structs.replace(head, digest=_digest(head, body))) + b"\n"
    return line.rjust(-(-len(line) // ALIGNED) * ALIGNED) + body


def unpacked(kind: str, data: bytes | mmap) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """The text and the arrays; raises ValueError when they are of another kind, cut or altered."""
    end = data.find(b"\n") + 1
    try:
        head = msgspec.json.decode(data[:end], type=Packed)
    except msgspec.DecodeError as error:
        raise ValueError(f"the {kind} are damaged: {error}") from None
    if head.kind != kind:
        raise ValueError(f"these are {head.kind}, not {kind}")
    if _digest(msgspec.structs.replace(head, digest=""), memoryview(data)[end:]) != head.digest:
        raise ValueError(f"the {kind} are damaged: their digest does not fit")
    found, place = {}, end
    for name, (kept, length) in head.arrays.items():
        if kept not in TYPES:
            raise ValueError(f"the {kind} are damaged: {name} is {kept}")
        found[name] = np.frombuffer(data, kept, length, place)
        place += -(-found[name].nbytes // ALIGNED) * ALIGNED
    return head.text, found


def _digest(head: Packed, body: bytes | memoryview) -> str:
    """Of everything: the first line without the digest itself, and the arrays."""
    found = hashlib.sha256(_text.encode(head))
    found.update(body)
    return found.hexdigest()


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // ALIGNED) * ALIGNED, b"\0")
