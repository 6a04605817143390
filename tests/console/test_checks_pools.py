"""Is there a worker for what is to be run?"""

import pytest

from attune_project.console import checks_pools
from attune_project.messaging.models import MessageProbe
from attune_project.packs.models import Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker(ago):
    row = MessageProbe.objects.create(message_type="x", routing_key="x", service="web", sent_at=ago(1))
    MessageProbe.objects.filter(pk=row.pk).update(created=ago(5000))
    return Worker.objects.create(name="one", last_heartbeat=ago(2), capabilities={"labels": {"disk": "ssd"}})


@pytest.fixture
def scheduled(chain, sql, ago):
    """Make the chain's execution wait for a worker."""

    def make(seconds=30, pool=None, selector="{}"):
        sql(
            "UPDATE execution SET status = 'scheduled', finished_at = NULL, scheduled_at = %s,"
            " worker_pool = %s, worker_selector = %s",
            ago(seconds),
            pool,
            selector,
        )

    return make


def red():
    return {one.name: one.reason for one in checks_pools.worker_pools() if not one.ok}


def test_a_fresh_database_is_not_red():
    assert red() == {}


def test_a_pool_with_a_worker_is_green(worker):
    assert [(one.name, one.ok) for one in checks_pools.worker_pools()] == [("pool:default", True)]


@pytest.mark.parametrize(("seconds", "count"), [(19, 0), (21, 1)])
def test_no_worker_lives(worker, sql, ago, seconds, count):
    sql("UPDATE worker SET last_heartbeat = %s", ago(seconds))

    assert len(red()) == count


def test_a_worker_that_is_being_restarted_is_not_missed(worker, sql):
    sql("UPDATE worker SET status = 'inactive'")

    assert red() == {}


def test_executions_wait_for_a_pool_without_workers(worker, scheduled):
    scheduled(pool="gpu")

    assert red() == {
        "pool:gpu": "No worker of the pool gpu has been heard of for 20 s; 1 executions wait for one:"
        " is one running?"
    }


def test_a_declared_pool_without_workers(worker, settings):
    settings.ATTUNE_WORKER_POOLS = ["gpu"]

    assert list(red()) == ["pool:gpu"]


def test_every_worker_is_cordoned(worker, scheduled, sql):
    sql("UPDATE worker SET cordoned = true")
    assert red() == {}

    scheduled()
    sql("UPDATE worker SET cordoned = true, last_heartbeat = now()")
    assert "every worker there is cordoned" in red()["pool:default"]


@pytest.mark.parametrize(("selector", "count"), [('{"disk": "ssd"}', 0), ('{"disk": "tape"}', 1)])
def test_labels_that_no_worker_has(worker, scheduled, selector, count):
    scheduled(selector=selector)

    assert len(red()) == count
