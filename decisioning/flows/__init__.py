"""One verb a file: what happens, in order, from a request or a tick to what is stored."""
