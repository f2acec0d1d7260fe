"""A list of any length in; pages of its beginning, counted no further than people turn them, out."""

from typing import Any, Final

from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.utils.functional import cached_property

CAP: Final = 10_000
ROUGHLY: Final = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass"


class Capped(Paginator):
    """Counts to `CAP` and no further: what lies behind is for the search, not for turning pages."""

    object_list: QuerySet[Any]
    template_name = "admin/customers/pagination.html"

    @cached_property
    def counted(self) -> int:
        """How many there are, as far as they are counted."""
        return int(self.object_list.order_by()[: CAP + 1].count())

    @cached_property
    def count(self) -> int:
        """How many there are to turn pages through."""
        return min(self.counted, CAP)

    @property
    def more(self) -> bool:
        """Whether there are others past the last page."""
        return self.counted > CAP

    @cached_property
    def roughly(self) -> int:
        """How many rows the whole table has, as PostgreSQL last estimated; never fewer than were counted."""
        with connection.cursor() as cursor:
            cursor.execute(ROUGHLY, [self.object_list.model._meta.db_table])
            return max(int(cursor.fetchone()[0]), self.counted)
