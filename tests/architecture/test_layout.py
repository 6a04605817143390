"""The shape of the house, held by tests where a linter can't."""

import re
import subprocess
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["messaging", "rest", "identity", "packs", "sensors", "executions", "rules", "console"]


def sources() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in names.stdout.split() if (path := ROOT / name).exists()]


def product() -> list[Path]:
    return [
        path
        for path in sources()
        if "migrations" not in path.parts and path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
    ]


def test_every_file_has_less_than_five_hundred_lines():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}

    assert {name: lines for name, lines in long.items() if lines >= 500} == {}


def upward_keys() -> set[str]:
    found = set()
    for model in apps.get_models():
        if model._meta.app_label not in LAYERS:
            continue
        for field in model._meta.get_fields():
            if isinstance(field, models.ForeignKey) and field.related_model._meta.app_label in LAYERS:
                here, there = model._meta.app_label, field.related_model._meta.app_label
                if LAYERS.index(there) > LAYERS.index(here):
                    found.add(f"{model.__name__}.{field.name}")
    return found


def test_foreign_keys_that_point_upward_are_these():
    assert upward_keys() == {
        "Event.rule", "Timer.rule", "PermissionSet.pack",
        "Key.owner_pack", "Key.owner_action", "Key.owner_sensor",
    }  # fmt: skip


BEAT = ("sensors/beat.py", "sensors/periodic.py", "sensors/admin_periodic.py", "attune_project/settings.py")
MESSAGING = "attune_project/messaging/"
ONE_WRITER = {
    "publishing": (r"Producer\(|basic_publish\(|\.send_task\(|\.apply_async\(|\.delay\(", (MESSAGING, *BEAT)),
    "celery beat": (r"(from|import) django_celery_beat", BEAT),
    "status in SQL": (r"UPDATE execution\b", ("executions/lifecycle/",)),
    "status by the ORM": (r"Execution\.objects[^\n]*\.update\(", ("executions/lifecycle/",)),
    "nothing due lives in the broker": (r"countdown=|\beta=", ("-",)),
}


@pytest.mark.parametrize("what", ONE_WRITER)
def test_one_writer(what):
    pattern, allowed = ONE_WRITER[what]

    guilty = [path for path in product() if re.search(pattern, path.read_text())]

    names = [str(path.relative_to(ROOT)) for path in guilty]
    assert [name for name in names if not name.startswith(allowed)] == []


def test_every_table_is_in_the_schema_attune_and_singular(db):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_name = ANY(%s)", [
            ["event", "enforcement", "execution", "rule", "trigger", "action", "identity", "pack", "worker"]
        ])  # fmt: skip
        rows = cursor.fetchall()

    assert {schema for schema, _ in rows} == {"attune"}
    assert len(rows) == 9


def test_nothing_is_left_in_the_schema_public(db):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
        assert cursor.fetchone()[0] == 0


def test_every_status_has_its_check_in_the_database(db):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname LIKE '%%_status_check'"
        )
        names = {row[0] for row in cursor.fetchall()}

    assert {
        "event_status_check", "enforcement_status_check", "execution_status_check", "attempt_status_check",
        "worker_status_check",
    } <= names  # fmt: skip


def test_history_survives_the_deletion_of_what_it_points_at():
    for name, fields in {
        "sensors.Event": ("trigger", "rule"),
        "rules.Enforcement": ("rule", "event", "execution"),
        "executions.Execution": ("action",),
    }.items():
        model = apps.get_model(name)
        for field in fields:
            key = model._meta.get_field(field)
            assert key.db_constraint is False, f"{name}.{field}"
            assert key.remote_field.on_delete is models.DO_NOTHING, f"{name}.{field}"


def test_migrations_say_what_the_models_say(db):
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
