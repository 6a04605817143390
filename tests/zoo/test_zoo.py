"""What became of each animal: ended in time, judged right, left nothing, showed nothing, harmed nobody."""

import json
import re

import pytest

from tests.integration.spine import until
from tests.zoo.animal import SECRET, Animal
from tests.zoo.animals import ANIMALS
from tests.zoo.keeper import GRACE, Keeper, Visit, remains

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(600)]
MOST_GROWN = 30 * 1024 * 1024

EVERY = [(mode, animal) for animal in ANIMALS for mode in animal.modes]
every_animal = pytest.mark.parametrize(
    ("mode", "animal"), EVERY, ids=[f"{mode}-{animal.name}" for mode, animal in EVERY]
)


@pytest.fixture
def visit(zoo: Keeper, mode: str, animal: Animal) -> Visit:
    return next(one for one in zoo.visits if one.mode == mode and one.animal.name == animal.name)


@every_animal
def test_an_animal_gets_what_it_deserves(visit: Visit, animal: Animal):
    assert visit.status in animal.statuses, visit.result
    assert visit.seconds < animal.seconds + GRACE
    assert visit.survivors == ()
    result = visit.result or {}
    assert re.search(animal.error, str(result.get("error") or ""), re.MULTILINE), result
    assert {name: result.get(name) for name in animal.result} == dict(animal.result)
    assert re.search(animal.says, visit.stdout, re.MULTILINE), visit.stdout[:2000]


@every_animal
def test_an_animal_shows_nothing_that_it_should_not(visit: Visit, animal: Animal):
    shown = json.dumps(visit.result, ensure_ascii=False) + visit.log

    assert [text for text in (*animal.never, SECRET) if text in shown] == []


def test_there_are_enough_animals():
    assert len(ANIMALS) >= 40


def test_nothing_of_the_zoo_is_left(zoo: Keeper):
    assert remains(zoo.pack) == []


def test_the_workers_are_the_same_as_before(zoo: Keeper):
    assert {name: zoo.spine.processes[name].pid for name in zoo.pids} == zoo.pids
    assert [name for name in zoo.pids if not zoo.spine.alive(name)] == []


def test_workers_that_are_warm_do_not_grow(zoo: Keeper):
    """They may keep what they loaded for the first animals of all; what a run took is given back."""

    def grown() -> dict[str, int]:
        sizes = {name: size - zoo.memory[name] for name, size in zoo.memories().items()}
        return {name: size for name, size in sizes.items() if size > MOST_GROWN}

    until(lambda: not grown(), 60)
    assert grown() == {}


def test_others_were_not_disturbed(zoo: Keeper):
    rows = zoo.spine.sql(
        "SELECT status, result ->> 'stdout' FROM execution WHERE id = ANY(%s)", [zoo.bystanders]
    )

    assert len(rows) >= 6
    assert {row for row in rows if row != ("completed", "fine\n")} == set()


def test_each_ran_once(zoo: Keeper):
    rows = zoo.spine.sql(
        "SELECT execution_id, count(*) FROM attempt GROUP BY execution_id HAVING count(*) > 1", []
    )

    assert rows == []


def test_the_books_are_in_order(zoo: Keeper):
    assert zoo.spine.invariants() == ""
