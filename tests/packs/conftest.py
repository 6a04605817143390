"""A pack in a temporary folder, written file by file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attune_project.packs.loader import Report, load_pack

CORE = Path(__file__).parents[2] / "attune_project/packs/core"


class PackFolder:
    """`pack.write("actions/hello.yaml", "...")`, then `pack.load()`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def load(self, **options) -> Report:
        return load_pack(self.path, **options)


ACTION = """\
ref: shop.ship
label: Ship
runner_type: shell
entry_point: echo shipped
parameters:
  order: {type: integer, required: true}
"""
TRIGGER = """\
ref: shop.order
label: Order
output:
  id: {type: integer}
"""
RULE = """\
ref: shop.ship_orders
label: Ship orders
trigger_ref: shop.order
action_ref: shop.ship
action_params:
  order: "{{ event.payload.id }}"
"""


@pytest.fixture
def core(db: None) -> Report:
    return load_pack(CORE)


@pytest.fixture
def empty_pack(tmp_path: Path) -> PackFolder:
    pack = PackFolder(tmp_path / "shop")
    pack.write("pack.yaml", 'ref: shop\nlabel: Shop\nversion: "1.0.0"\n')
    return pack


@pytest.fixture
def shop(core: Report, empty_pack: PackFolder) -> PackFolder:
    """A pack of one trigger, one action and one rule, on an installation that has the core pack."""
    empty_pack.write("triggers/order.yaml", TRIGGER)
    empty_pack.write("actions/ship.yaml", ACTION)
    empty_pack.write("rules/ship_orders.yaml", RULE)
    return empty_pack


@pytest.fixture
def refused(shop: PackFolder) -> Callable[[str, str], str]:
    """Load the shop with one file replaced; return the warning about that file."""

    def load(name: str, text: str) -> str:
        shop.write(name, text)
        report = shop.load()
        return "\n".join(str(warning) for warning in report.warnings)

    return load
