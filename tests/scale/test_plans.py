"""On tables that have grown, every list, every look and every poll goes by an index: plans, not times."""

import json
import math
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attune_project.console import metrics_retention, trace
from attune_project.console.retention import chains
from attune_project.messaging import steps
from attune_project.packs.models import Pack
from executions import log_chunks
from executions.streams import changes
from rules.models import Rule
from sensors.models import Trigger
from tests.architecture.test_plans import QUERIES, plan_of
from tests.scale.conftest import BIG

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.timeout(1200),  # whoever comes first waits for the rows
    pytest.mark.usefixtures("history"),
    pytest.mark.django_db,
]


def nodes(plan: str) -> list[dict]:
    """Return all nodes of a plan."""

    def walk(node):
        return [node, *(found for child in node.get("Plans", []) for found in walk(child))]

    return walk(json.loads(plan)[0]["Plan"])


def indexes(plan: str) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def whole(plan: str) -> set[str]:
    """Return the big tables that a plan reads from end to end.

    One that soon stops at a limit, by the planner's costs, isn't: counting up to 10,000 of common rows.
    """

    def walk(node, most):
        if node["Node Type"] == "Limit":
            most = node["Total Cost"]
        elif node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG:
            return {node["Relation Name"]} if node["Total Cost"] < 4 * most else set()
        elif node["Node Type"] in ("Sort", "Hash", "Materialize"):
            most = math.inf  # takes all there is before it gives any
        return set().union(*(walk(child, most) for child in node.get("Plans", [])))

    return walk(json.loads(plan)[0]["Plan"], math.inf)


def plans_of(answer) -> list[str]:
    """Return the plans of the statements on big tables that a request has run."""
    with CaptureQueriesContext(connection) as queries:
        assert answer().status_code == 200
    looks = [one["sql"].strip() for one in queries if re.search(rf'FROM "?({"|".join(BIG)})\b', one["sql"])]
    with connection.cursor() as cursor:
        plans = []
        for look in looks:
            if look.startswith(("SELECT", "WITH")):
                cursor.execute("EXPLAIN (FORMAT JSON) " + look.replace("%", "%%"), [])
                plans.append(json.dumps(cursor.fetchone()[0]))
    return plans


LISTS = {
    # executions
    "executions": "execution_created_idx",
    "executions?page=200": "execution_created_idx",
    "executions?offset=100000": "execution_created_idx",
    "executions?created_after=2999-01-01": "execution_created_idx",
    "executions?status=completed": "execution_created_idx",
    "executions?status=requested": "execution_waiting_idx",
    "executions?status=scheduled": "execution_scheduled_idx",
    "executions?status=running": "execution_leased_idx",
    "executions?status=failed": "execution_unsuccessful_idx",
    "executions?status=failed,timeout": "execution_unsuccessful_idx",
    "executions?status=abandoned": "execution_unsuccessful_idx",
    "executions/status/cancelled": "execution_unsuccessful_idx",
    "executions?action_ref=pack1.action1": "execution_action_ref_idx",
    "executions?action_ref=no.such": "execution_action_ref_idx",
    "executions?pack_name=nothing": "execution_action_ref_idx",
    "executions?rule_ref=pack7.rule907": "execution_rule_ref_idx",
    "executions?rule_ref=no.such": "execution_rule_ref_idx",
    "executions?trigger_ref=pack1.trigger1": "execution_trigger_ref_idx",
    "executions?trigger_ref=no.such": "execution_trigger_ref_idx",
    "executions?parent=1001": "execution_parent_idx",
    "executions?original_execution=2001": "execution_original_idx",
    "executions?enforcement=77": "enforcement_pkey",
    "executions?worker=3": "execution_worker_idx",
    "executions?worker=999999": "execution_worker_idx",
    "executions?executor=7": "execution_executor_idx",
    "executions?executor=999999": "execution_executor_idx",
    "executions/stats?worker=3": "execution_worker_idx",
    # two conditions, each of which many rows meet
    "executions?rule_ref=pack7.rule907&status=failed": "execution_rule_ref_idx",
    "executions?trigger_ref=pack1.trigger1&status=timeout": "execution_unsuccessful_idx",
    "executions?executor=7&status=timeout": "execution_unsuccessful_idx",
    "executions?worker=3&status=abandoned": "execution_unsuccessful_idx",
    "executions?pack_name=pack4&status=cancelled": "execution_unsuccessful_idx",
    "executions?top_level_only=true": "execution_created_idx",
    "executions/1001": "execution_pkey",
    "executions/stats": "execution_unsuccessful_idx",
    "executions/stats?rule_ref=pack7.rule907": "execution_rule_ref_idx",
    "executions/stats?action_ref=pack1.action1": "execution_action_ref_idx",
    # events
    "events": "event_created_idx",
    "events?offset=100000": "event_created_idx",
    "events?trigger_ref=pack1.trigger1": "event_trigger_ref_idx",
    "events?trigger_ref=no.such": "event_trigger_ref_idx",
    "events?source_ref=no.such": "event_source_ref_idx",
    "events?rule_ref=pack0.rule950": "event_rule_ref_idx",
    "events/1001": "event_pkey",
    # enforcements
    "enforcements": "enforcement_created_idx",
    "enforcements?offset=100000": "enforcement_created_idx",
    "enforcements?rule_ref=pack7.rule907": "enforcement_rule_ref_idx",
    "enforcements?trigger_ref=pack1.trigger1": "enforcement_trigger_ref_idx",
    "enforcements?trigger_ref=no.such": "enforcement_trigger_ref_idx",
    "enforcements?event=1001": "enforcement_event_id_rule_id_key",
    "enforcements?status=created": "enforcement_owed_idx",
    "enforcements?status=disabled": "enforcement_disabled_idx",
    "enforcements/1001/executions": "execution_pkey",
    # chains
    "trace/event/1001": "enforcement_event_id_rule_id_key",
    "trace/enforcement/1001": "enforcement_pkey",
    "trace/execution/1001": "execution_parent_idx",
}  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_look_goes_by_its_index(api, path):
    plans = plans_of(lambda: api.get(f"/api/v1/{path}"))

    assert set().union(*map(whole, plans)) == set()
    assert LISTS[path] in set().union(*map(indexes, plans))


def test_a_list_without_its_index_is_found_out(api):
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX execution_trigger_ref_idx, execution_created_idx")

    plans = plans_of(lambda: api.get("/api/v1/executions?trigger_ref=no.such"))

    assert set().union(*map(whole, plans)) == {"execution"}


def test_lists_by_an_id_count_by_the_index_of_its_ref(api):
    pack = Pack.objects.create(ref="pack1", label="x", version="1.0.0")
    Trigger.objects.create(pk=1, ref="pack1.trigger1", label="x")
    Rule.objects.create(pk=1, ref="pack1.rule1", pack=pack, pack_ref="pack1", label="x", trigger_ref="x.y",
                        action_ref="x.y")  # fmt: skip

    events = plans_of(lambda: api.get("/api/v1/events?trigger=1"))
    enforcements = plans_of(lambda: api.get("/api/v1/enforcements?rule=1"))

    assert "event_trigger_ref_idx" in set().union(*map(indexes, events))
    assert "enforcement_rule_ref_idx" in set().union(*map(indexes, enforcements))
    assert "Index Only Scan" in {node["Node Type"] for plan in enforcements for node in nodes(plan)}


@pytest.mark.parametrize("page", ["execution", "attempt"])
def test_a_page_of_the_admin_reads_no_table_whole(administrator, client, page):
    client.force_login(administrator)

    plans = plans_of(lambda: client.get(f"/admin/executions/{page}/"))

    assert set().union(*map(whole, plans)) == set()


@pytest.mark.parametrize("name", QUERIES)
def test_a_claim_goes_by_its_partial_index(name):
    statement, parameters, index, _ = QUERIES[name]

    plan = plan_of(statement, parameters)

    assert index in indexes(plan)
    assert whole(plan) == set()


@pytest.mark.parametrize("step", steps.every(), ids=lambda step: step.name)
def test_a_poll_goes_by_a_partial_index(step):
    plan = plan_of(
        f"SELECT count(*) FROM (SELECT 1 FROM {step.table} WHERE {step.owed}"
        f" AND {step.since} < now() - make_interval(secs => %s) LIMIT %s) owed",
        [2, 1000],
    )

    assert whole(plan) == set()


IDS = list(range(1, 501))
END = "2026-01-01T00:00:00Z"
PAGE = {"end": END, "after": 0, "limit": 500}
LOOKS = {
    "retention: events": (chains.EVENTS, PAGE, "event_pkey"),
    "retention: enforcements": (chains.ENFORCEMENTS, PAGE, "enforcement_pkey"),
    "retention: executions": (chains.EXECUTIONS, PAGE, "execution_pkey"),
    "retention: lock": (chains.LOCK_EVENTS, [IDS], "event_pkey"),
    "retention: of events": (chains.OF_EVENTS, [IDS], "enforcement_event_id_rule_id_key"),
    "retention: of enforcements": (chains.OF_ENFORCEMENTS, [IDS], "enforcement_pkey"),
    "retention: states": (chains.STATES, [IDS, END], "execution_pkey"),
    "retention: below": (chains.CHILDREN, [IDS], "execution_parent_idx"),
    "retention: re-runs": (chains.RERUNS, [IDS], "execution_original_idx"),
    "retention: attempts": (
        "DELETE FROM attempt WHERE execution_id = ANY(%s)", [IDS], "attempt_execution_id_number_key",
    ),
    "metrics: oldest": (metrics_retention._OLDEST, None, "execution_pkey"),
    "trace: above": (trace._ABOVE, [1001, trace.DEEPEST], "execution_pkey"),
    "trace: below": (trace._BELOW, [[1001], trace.DEEPEST, trace.MOST], "execution_parent_idx"),
    "streams: recent": (changes.RECENT, {"seconds": 2.5}, "execution_finished_idx"),
    "logs": (
        log_chunks.READ, [1, 1, "stdout", 1000, 1, 1, "stdout", 0], "log_chunk_execution_place_key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_what_the_services_look_for_is_found_by_an_index(name):
    statement, parameters, index = LOOKS[name]

    plan = plan_of(statement, parameters)

    assert index in indexes(plan)
    assert whole(plan) == set()
