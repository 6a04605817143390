from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from attune_project.packs.models import Pack
from tests.packs.conftest import ACTION


def load(folder):
    out, err = StringIO(), StringIO()
    call_command("load_pack", str(folder), stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_it_says_what_it_loaded(shop):
    assert load(shop.path) == ("shop: 1 triggers, 1 actions, 1 rules\n", "")


def test_warnings_go_to_stderr(shop):
    shop.write("actions/ship.yaml", ACTION.replace("shell", "perl"))
    shop.remove("rules/ship_orders.yaml")

    out, err = load(shop.path)

    assert out == "shop: 1 triggers, 1 warnings\n"
    assert err.startswith("actions/ship.yaml:3: runner_type: no runtime 'perl'")


def test_what_is_deleted_is_said(shop):
    load(shop.path)
    shop.remove("rules/ship_orders.yaml")

    assert load(shop.path)[0] == "shop: 1 triggers, 1 actions, 1 rules deleted\n"


def test_a_bad_pack_ends_the_command(shop):
    shop.write("pack.yaml", "ref: shop\nlabel: Shop\n")

    with pytest.raises(CommandError, match=r"pack\.yaml:1: version: is required"):
        load(shop.path)
    assert not Pack.objects.filter(ref="shop").exists()


def test_a_folder_that_is_not_there_ends_the_command(db, tmp_path):
    with pytest.raises(CommandError, match="there is no such file"):
        load(tmp_path / "none")
