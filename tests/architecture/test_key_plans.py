"""What a worker asks about keys uses an index, however many keys there are."""

import pytest
from django.db import connection

from attune_project.packs.models import Pack
from executions.lifecycle import claiming
from executions.models import Action
from executions.worker.keys import keys_for
from tests.architecture.test_plans import CLAIM, plan_of, scans_whole

MANY = 20_000
FILL = f"""
INSERT INTO key (ref, owner_type, owner, owner_pack_id, owner_pack_ref, name, encrypted, value)
SELECT 'demo.k' || n, 'pack', p.ref, p.id, p.ref, 'k' || n, false, '1'
FROM generate_series(1, {MANY}) n JOIN pack p ON p.ref = 'p' || n % 2000;
ANALYZE key; ANALYZE pack;
"""


@pytest.fixture
def many_keys(db):
    packs = Pack.objects.bulk_create([Pack(ref=f"p{n}", label="x", version="1.0.0") for n in range(2000)])
    Action.objects.create(ref="p1.act", pack=packs[1], pack_ref="p1", label="x", entrypoint="true")
    with connection.cursor() as cursor:
        cursor.execute(FILL)


@pytest.mark.usefixtures("many_keys")
def test_a_claim_looks_keys_up():
    plan = plan_of(claiming.CLAIM_SLOTS, CLAIM)

    assert '"Index Name": "key_owner_pack_id' in plan
    assert not scans_whole(plan, "key")


@pytest.mark.usefixtures("many_keys")
def test_a_run_looks_its_keys_up():
    statement, parameters = keys_for("p1", "p1.act").query.sql_with_params()

    plan = plan_of(statement, parameters)

    assert '"Index Name": "key_owner_name_key"' in plan
    assert not scans_whole(plan, "key")
