"""Comes in: nothing. Goes out: the language's fixed limits, each one named in the error that enforces it."""

MAX_TEXT = 20_000  # characters in one rule or condition
MAX_NODES = 1_000  # tests, groups and actions in one rule
MAX_DEPTH = 32  # groups inside groups
MAX_LIST = 1_000  # values in one IN (...) list
MAX_VALUES = 3_000  # values in all lists of one rule
MAX_STRING = 2_000  # characters between two quotes
MAX_PATTERN = 500  # characters in a MATCHES pattern
MAX_PATTERNS = 50  # MATCHES tests in one rule or condition
MAX_DIGITS = 40  # digits in one number
MAX_SPAN = 100_000  # the n of "LAST n DAYS"
MAX_FACTOR = 1_000  # the n of "BOOST ... BY n"
MAX_POSITION = 1_000  # the n of "PIN ... AT n"
