"""A method comes in; attributes that it computes when they are first asked for come out."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class once(Generic[Value]):
    """An attribute computed when it is first asked for. `functools.cached_property` takes a lock for it until 3.12."""

    def __init__(self, work: Callable[[Any], Value]) -> None:
        self.work, self.name = work, work.__name__

    @overload
    def __get__(self, seen: None, owner: type) -> "once[Value]": ...
    @overload
    def __get__(self, seen: object, owner: type) -> Value: ...
    def __get__(self, seen: object | None, owner: type) -> "once[Value] | Value":
        if seen is None:
            return self
        value = seen.__dict__[self.name] = self.work(seen)
        return value


class part(Generic[Value]):
    """One of several attributes that are computed together, by a method that puts all of them into `__dict__`."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self.work = work

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, seen: None, owner: type) -> "part[Value]": ...
    @overload
    def __get__(self, seen: object, owner: type) -> Value: ...
    def __get__(self, seen: object | None, owner: type) -> "part[Value] | Value":
        if seen is None:
            return self
        self.work(seen)
        found: Value = seen.__dict__[self.name]
        return found
