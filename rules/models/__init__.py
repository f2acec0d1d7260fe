"""Everything about rules and segments that PostgreSQL keeps."""

from .rules import Revision, Rule
from .segments import How, ListEntry, Membership, Recompute, Segment, SegmentSize, key_format

__all__ = [
    "How",
    "ListEntry",
    "Membership",
    "Recompute",
    "Revision",
    "Rule",
    "Segment",
    "SegmentSize",
    "key_format",
]
