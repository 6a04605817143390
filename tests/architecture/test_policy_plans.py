"""What policies ask again and again goes through indexes, with ten thousand waiting beside a long history."""

import pytest
from django.db import connection

from executions.lifecycle import admitting, queueing, reassigning
from executions.policies import groups, places, stats
from tests.architecture.test_plans import plan_of, scans_whole

DONE, WAITING, GROUPS = 20_000, 10_000, 1_000
FILL = f"""
INSERT INTO policy (ref, method, threshold, parameters, enabled, is_adhoc, max_queue_age)
VALUES ('p', 'enqueue', 1, ARRAY['n'], true, true, 3600);
INSERT INTO policy_group (policy_id, group_key, waiting)
SELECT p.id, 'g' || n, n <= {GROUPS} FROM policy p, generate_series(1, {GROUPS} * 5) n;
INSERT INTO execution (action_ref, status, policy_id, policy_group, trace_id, scheduled_at, started_at,
                       finished_at, settled_at)
SELECT 'x.y', 'completed', p.id, 'g' || (n % {GROUPS} + 1), gen_random_uuid(), now(), now(), now(), now()
FROM policy p, generate_series(1, {DONE}) n;
INSERT INTO execution (action_ref, status, policy_id, policy_group, trace_id, queued_at)
SELECT 'x.y', 'requested', p.id, 'g' || (n % {GROUPS} + 1), gen_random_uuid(), now()
FROM policy p, generate_series(1, {WAITING}) n;
INSERT INTO policy_slot (policy_id, group_key, execution_id)
SELECT policy_id, policy_group, id FROM execution WHERE status = 'completed' ORDER BY id LIMIT {GROUPS};
ANALYZE policy; ANALYZE policy_group; ANALYZE policy_slot; ANALYZE execution;
"""


@pytest.fixture
def busy(db):
    with connection.cursor() as cursor:
        cursor.execute(FILL)


KEYS = [[1, 1], ["g1", "g2"]]
IDS = {"groups": [1, 2, 3], "new": [5, 6]}
QUERIES = {
    "admit from groups": (
        admitting._ADMIT_FROM_GROUPS,
        {"groups": [1, 2, 3], "most": 100},
        "execution_queue_idx",
    ),
    "admission without a policy": (admitting._ADMIT, [200], "execution_requested_idx"),
    "groups that may admit": (groups._LOCK_READY, [100], "policy_group_waiting_idx"),
    "groups of freed slots": (groups._LOCK_FREED, KEYS, "policy_group_policy_group_key"),
    "groups that nothing goes through": (groups._DROP_IDLE, [3600, 200], "policy_group_idle_idx"),
    "who ends instead of waiting": (queueing._TRIM, IDS, "execution_queue_idx"),
    "who joins a queue": (queueing._JOINING, [200], "execution_joining_idx"),
    "joining": (queueing._JOIN, [*KEYS, ["why", "why"]], "execution_joining_idx"),
    "who has waited for too long": (queueing._EXPIRE_WAITING, [200], "execution_queue_age_idx"),
    "a look after a change": (
        reassigning._LOOK,
        {"after": 0, "limit": 200, "names": ["n"]},
        "execution_held_back_idx",
    ),
    "places": (places._PLACES, [[1, 2], [1, 2]], "execution_queue_idx"),
    "queue stats": (stats._STATS, {"ref": "no.such"}, "execution_scheduled_idx"),
}


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("name", QUERIES)
def test_a_query_uses_its_index(name):
    statement, parameters, index = QUERIES[name]

    plan = plan_of(statement, parameters)

    assert f'"Index Name": "{index}"' in plan
    assert not scans_whole(plan, "execution")
    assert not scans_whole(plan, "policy_slot")
