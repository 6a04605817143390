"""Why nobody runs what is scheduled: the words for each situation."""

import pytest

from executions.placement import Host, Situation, Wish, placeable, situation, wish

FULL = {
    "labels": {"disk": "ssd"},
    "runtimes": ["core.builtin", "core.node"],
    "versions": {"builtin": "1", "node": "18.20.4"},
    "packs": {"demo": "1.0.0"},
}


def host(pool=None, **values):
    return Host(pool, FULL, **values)


def test_a_worker_that_has_it_all_is_waited_for():
    wanted = Wish(None, {"disk": "ssd"}, "core.node", {"node": ">=18"}, "demo 1.0.0")

    assert situation(wanted, [host()]) == Situation("waiting for a worker in pool default", True)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wish("gpu"), "no worker in pool gpu"),
        (Wish(None, {"disk": "tape"}), "no worker in pool default has the labels disk=tape"),
        (Wish(None, runtime="core.python"), "no worker in pool default offers python"),
        (Wish(None, requirements={"node": ">=20"}), "no worker in pool default offers node >=20"),
        (
            Wish(None, requirements={"node": ">=18", "python": "3"}),
            "no worker in pool default offers python 3",
        ),
        (Wish(None, pack="demo 2.0.0"), "no worker in pool default has a copy of the pack demo 2.0.0"),
    ],
)
def test_what_nobody_has_is_named(wanted, reason):
    assert situation(wanted, [host()]) == Situation(reason, False)
    assert not placeable(wanted, [host()])


def test_one_that_is_silent_counts_as_none_but_may_come_back():
    assert situation(Wish(None), [host(alive=False)]) == Situation("no worker in pool default", False)
    assert placeable(Wish(None), [host(alive=False)])


@pytest.mark.parametrize(
    ("hosts", "word", "able"),
    [
        ([host(cordoned=True), host(cordoned=True, busy=True)], "cordoned", False),
        ([host(cordoned=True), host(busy=True)], "busy", True),
    ],
)
def test_those_that_have_it_are_taken(hosts, word, able):
    found = situation(Wish(None), hosts)

    assert found == Situation(f"every worker in pool default that could run it is {word}", able)
    assert placeable(Wish(None), hosts)


def test_a_row_that_tells_nothing_is_no_reason_against_its_worker():
    assert situation(Wish(None, runtime="core.x", pack="a 1"), [Host(None, {})]).able


def test_what_is_inside_the_worker_needs_no_files():
    action = {
        "runtime_ref": "core.builtin", "entrypoint": "sleep", "required_worker_runtimes": {}, "pack": "a 1",
    }  # fmt: skip

    assert wish(None, None, action).pack is None
    assert wish(None, None, {**action, "runtime_ref": None, "entrypoint": "a.py"}).runtime == "core.python"
    assert wish(None, None, {**action, "runtime_ref": None, "entrypoint": "a.py"}).pack == "a 1"
    assert wish("x", {"a": "b"}, None) == Wish("x", {"a": "b"})
