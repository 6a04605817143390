"""What comes while others are being answered is answered together."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from attune_project.rest.gathering import Dismissed, Gathering

PATIENCE = 60


class Held:
    """Work whose first batch lasts until it is let go; of each batch it keeps the items."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()

    def __call__(self, items):
        self.batches.append(list(items))
        assert self.go.wait(PATIENCE)
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


@pytest.fixture
def gathered():
    """Hand in "first", then the others while it is worked on; return (what came of each, the work)."""

    def run(*others, most=8, meanwhile=lambda gathering, asked: None):
        work = Held()

        async def every():
            with ThreadPoolExecutor(1) as executor:
                gathering = Gathering(work, executor, most, 1)
                asked = [asyncio.ensure_future(gathering.do(item)) for item in ("first", *others)]
                await asyncio.sleep(0)
                assert len(gathering) == len(others)
                meanwhile(gathering, asked)
                work.go.set()
                return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE)

        return asyncio.run(every()), work

    return run


def test_what_comes_meanwhile_is_one_batch(gathered):
    results, work = gathered("a", "b", "c")

    assert results == ["FIRST", "A", "B", "C"]
    assert work.batches == [["first"], ["a", "b", "c"]]


def test_a_batch_has_a_limit(gathered):
    _, work = gathered("a", "b", "c", most=2)

    assert work.batches == [["first"], ["a", "b"], ["c"]]


def test_what_breaks_a_batch_is_told_to_all_of_it_and_to_no_other(gathered):
    results, _ = gathered("a", "bad", "c", most=2)

    assert [type(result) for result in results] == [str, ValueError, ValueError, str]


def test_those_who_wait_can_be_dismissed(gathered):
    results, work = gathered("a", "b", meanwhile=lambda gathering, asked: gathering.dismiss())

    assert [type(result) for result in results] == [str, Dismissed, Dismissed]
    assert work.batches == [["first"]]


def test_who_has_gone_holds_nobody_up(gathered):
    results, _ = gathered("a", "b", meanwhile=lambda gathering, asked: asked[1].cancel())

    assert isinstance(results[1], asyncio.CancelledError)
    assert (results[0], results[2]) == ("FIRST", "B")
