"""How long artifacts are kept."""

from datetime import timedelta
from io import BytesIO

import pytest
from django.db import connection
from django.utils import timezone

from executions import clock
from executions.artifacts import retention
from executions.artifacts.collecting import collect
from executions.artifacts.content import writing
from executions.models import Artifact, ArtifactChunk, ArtifactVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def make():
    """Make an artifact with versions of one piece each."""

    def make(ref="a", versions=3, **values):
        row = Artifact.objects.create(ref=ref, type="file_text", last_version=versions, **values)
        rows = [
            ArtifactVersion.objects.create(
                artifact=row,
                version=n,
                content_type="text/plain",
                size_bytes=n,
                sha256="",
                **values_of(values),
            )
            for n in range(1, versions + 1)
        ]
        with writing() as writer:
            for version in rows:
                writer.write(version.pk, BytesIO(b"x" * version.version), 100)
        return row

    return make


def values_of(values):
    return {name: value for name, value in values.items() if name == "expires_at"}


def versions_of(row):
    return sorted(row.versions.values_list("version", flat=True))


def ago(**how):
    return timezone.now() - timedelta(**how)


def age(table, row, **how):
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET created = %s, updated = %s WHERE id = %s", [*[ago(**how)] * 2, row.pk]
        )


def test_the_newest_versions_stay(make):
    row = make(versions=4, retention_limit=2)

    assert retention.prune([row.pk]) == 2

    assert versions_of(row) == [3, 4]
    assert ArtifactChunk.objects.count() == 2


def test_versions_of_other_policies_are_not_counted(make):
    row = make(versions=4, retention_policy="days", retention_limit=2)

    assert retention.prune([row.pk]) == 0
    assert versions_of(row) == [1, 2, 3, 4]


def test_what_is_over_goes_with_all_it_has_and_the_rest_stays(make):
    make("over", expires_at=ago(minutes=1))
    kept = make("kept", expires_at=timezone.now() + timedelta(minutes=1))
    make("for ever")

    clock.expire_artifacts()

    assert set(Artifact.objects.values_list("ref", flat=True)) == {"kept", "for ever"}
    assert versions_of(kept) == [1, 2, 3]
    assert ArtifactChunk.objects.count() == 6


def test_more_than_a_batch_goes(make, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for n in range(5):
        make(f"a{n}", versions=1, expires_at=ago(minutes=1))

    clock.expire_artifacts()

    assert not Artifact.objects.exists()


def test_old_versions_go_one_by_one_and_the_size_is_that_of_the_newest(make):
    row = make(versions=2, size_bytes=2)
    ArtifactVersion.objects.filter(version=2).update(expires_at=ago(minutes=1))

    retention.expire(10)

    row.refresh_from_db()
    assert versions_of(row) == [1]
    assert (row.size_bytes, row.last_version) == (1, 2)


@pytest.mark.parametrize(("policy", "unit"), [("days", "days"), ("hours", "hours"), ("minutes", "minutes")])
def test_a_policy_counts_from_when_each_was_written(make, policy, unit):
    row = make(versions=2)
    first = row.versions.get(version=1)
    age("artifact_version", first, **{unit: 3})
    row.retention_policy, row.retention_limit = policy, 2
    row.save()

    retention.apply_policy(row)
    retention.expire(10)

    row.refresh_from_db()
    assert versions_of(row) == [2]
    assert abs(row.expires_at - row.updated - timedelta(**{unit: 2})) < timedelta(seconds=1)


def test_a_policy_of_versions_ends_one_of_time(make):
    row = make(versions=3, retention_policy="minutes", expires_at=ago(minutes=1))
    row.retention_policy, row.retention_limit = "versions", 1
    row.save()

    retention.apply_policy(row)
    retention.expire(10)

    row.refresh_from_db()
    assert (versions_of(row), row.expires_at) == ([3], None)


def test_a_later_attempt_of_a_run_keeps_to_the_policy_that_a_person_gave(run, left):
    (left.path / "f").write_text("x")
    collect(run, left)
    Artifact.objects.update(retention_policy="versions", retention_limit=2, expires_at=None)
    for _ in range(3):
        collect(run, left)

    assert versions_of(Artifact.objects.get()) == [3, 4]
    assert Artifact.objects.get().expires_at is None


def test_deleting_takes_the_contents_along(make):
    row, other = make("a"), make("b")

    retention.delete_artifacts([row.pk])

    assert list(Artifact.objects.all()) == [other]
    assert ArtifactVersion.objects.count() == ArtifactChunk.objects.count() == 3
