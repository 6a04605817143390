"""Pools are those of settings, and those that packs and actions name."""

import pytest

from attune_project.messaging import declare, pools, probes
from attune_project.messaging.models import MessageProbe
from attune_project.packs.models import Pack
from executions.models import Action

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What one test's database names is unknown to the next."""
    monkeypatch.setattr(pools, "_found", frozenset())
    monkeypatch.setattr(pools, "_on_broker", set())


@pytest.fixture
def declarations(monkeypatch):
    made = []
    monkeypatch.setattr(declare, "declare_all", lambda connection, names: made.append(names))
    return made


def make_action(pool, pack_pools=()):
    pack, _ = Pack.objects.get_or_create(
        ref="demo", defaults={"label": "x", "version": "1.0.0", "meta": {"worker_pools": list(pack_pools)}}
    )
    Action.objects.create(
        ref=f"demo.{pool}", pack=pack, pack_ref="demo", label="x", entrypoint="x", worker_pool=pool
    )


def test_settings_packs_and_actions_declare_pools(settings):
    settings.ATTUNE_WORKER_POOLS = ["cpu"]
    make_action("gpu", ["tape", "gpu"])

    assert pools.refresh() == pools.known() == ("cpu", "gpu", "tape")
    assert pools.declared() == ("cpu",)


def test_what_is_no_name_of_a_pool_declares_none():
    make_action("a.b", ["", "x y"])

    assert pools.refresh() == ()


def test_a_pool_that_nothing_names_any_more_is_gone():
    make_action("gpu")
    pools.refresh()
    Action.objects.all().delete()

    assert pools.refresh() == ()


def test_new_pools_are_declared_and_probed_by_a_running_service(declarations, monkeypatch, fake_publisher):
    monkeypatch.setenv("ATTUNE_SERVICE", "executor")
    probes.send_all()
    make_action("gpu")

    probes.send_all()
    probes.send_all()

    assert declarations == [("gpu",)]
    assert MessageProbe.objects.filter(routing_key="execution.requested.gpu", service="executor").exists()


def test_a_broker_that_is_away_keeps_no_probe_from_being_sent(monkeypatch, fake_publisher):
    def refuse(*_):
        raise OSError("away")

    monkeypatch.setenv("ATTUNE_SERVICE", "executor")
    monkeypatch.setattr(declare, "declare_all", refuse)
    make_action("gpu")

    probes.send_all()

    assert pools._on_broker == set()
    assert MessageProbe.objects.filter(routing_key="execution.requested.gpu").exists()
