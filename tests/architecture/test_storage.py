"""Tables whose rows change often are vacuumed and analyzed by what changed, not by a share of their size."""

import pytest
from django.db import connection


@pytest.mark.parametrize("table", ["event", "enforcement", "execution", "attempt"])
def test_a_table_that_grows_is_vacuumed_long_before_a_fifth_of_it_is_dead(db, table):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
        options = dict(one.split("=") for one in cursor.fetchone()[0])

    assert float(options["autovacuum_vacuum_scale_factor"]) <= 0.02
