"""The files of a run become artifacts."""

import os
import uuid
from datetime import timedelta
from hashlib import sha256

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from executions.artifacts import collecting, content, storing
from executions.artifacts.collecting import collect, sweep
from executions.artifacts.folder import RunFolder
from executions.artifacts.storing import Run
from executions.models import Artifact, ArtifactChunk, ArtifactVersion, Execution

pytestmark = pytest.mark.django_db


def stored():
    return {one.name: one for one in Artifact.objects.all()}


def test_a_file_is_an_artifact_with_a_version(run, left, administrator):
    Execution.objects.update(executor=administrator)
    (left.path / "out").mkdir()
    (left.path / "out" / "report.csv").write_text("a,b\n1,2\n")

    assert collect(run, left) == []

    artifact, version = Artifact.objects.get(), ArtifactVersion.objects.get()
    assert artifact.ref == f"execution.{run.id}.out.report.csv"
    assert (artifact.scope, artifact.owner, artifact.pack_ref) == ("action", "demo.echo", "demo")
    assert (artifact.execution_id, artifact.owner_identity_id) == (run.id, administrator.pk)
    assert (artifact.type, artifact.content_type, artifact.name) == (
        "file_datatable", "text/csv", "out/report.csv",
    )  # fmt: skip
    assert (artifact.visibility, artifact.size_bytes, artifact.last_version) == ("private", 8, 1)
    assert (version.artifact_id, version.version, version.execution_id) == (artifact.pk, 1, run.id)
    assert (version.size_bytes, version.sha256) == (8, sha256(b"a,b\n1,2\n").hexdigest())
    assert (version.created_by, version.content_type) == ("demo.echo", "text/csv")
    assert content.read_all(version.pk, 8) == b"a,b\n1,2\n"


def test_what_is_collected_is_kept_for_so_many_days(run, left, settings):
    settings.ATTUNE_ARTIFACT_DAYS = 7
    (left.path / "f").write_text("x")

    collect(run, left)

    artifact = Artifact.objects.get()
    assert (artifact.retention_policy, artifact.retention_limit) == ("days", 7)
    assert abs(artifact.expires_at - timezone.now() - timedelta(days=7)) < timedelta(hours=1)
    assert ArtifactVersion.objects.get().expires_at == artifact.expires_at


def test_large_files_are_stored_in_pieces_and_small_ones_with_few_statements(
    run, left, django_assert_max_num_queries
):
    large = os.urandom(2 * content.PIECE + 17)
    (left.path / "large").write_bytes(large)
    for n in range(20):
        (left.path / f"small{n}").write_text(str(n))
    (left.path / "empty").write_bytes(b"")

    with django_assert_max_num_queries(20):
        assert collect(run, left) == []

    version = ArtifactVersion.objects.get(artifact__name="large")
    assert (version.size_bytes, version.sha256) == (len(large), sha256(large).hexdigest())
    assert [content.read_piece(version.pk, n) for n in range(4)] == [
        large[: content.PIECE], large[content.PIECE : 2 * content.PIECE], large[2 * content.PIECE :], b"",
    ]  # fmt: skip
    assert Artifact.objects.count() == 22
    assert ArtifactVersion.objects.get(artifact__name="empty").size_bytes == 0
    assert ArtifactChunk.objects.count() == 23


def test_a_later_attempt_gives_the_same_file_another_version(run, left):
    (left.path / "f.txt").write_text("one")
    collect(run, left)
    (left.path / "f.txt").write_text("three")
    collect(run, left)

    artifact = Artifact.objects.get()
    sizes = list(artifact.versions.order_by("version").values_list("version", "size_bytes"))
    assert sizes == [(1, 3), (2, 5)]
    assert (artifact.last_version, artifact.size_bytes) == (2, 5)


def test_names_that_come_to_one_ref_each_keep_theirs_over_attempts(run, left):
    (left.path / "a").mkdir()
    for name in ("a.b", "a/b", "A.B"):
        (left.path / name).write_text(name)
    collect(run, left)
    first = {name: one.ref for name, one in stored().items()}
    (left.path / "A.B").unlink()
    collect(run, left)

    assert len(set(first.values())) == 3
    assert {name: one.ref for name, one in stored().items()} == first
    assert {name: one.last_version for name, one in stored().items()} == {"a.b": 2, "a/b": 2, "A.B": 1}


def test_a_ref_that_somebody_else_has_is_not_taken_from_them(run, left):
    theirs = Artifact.objects.create(ref=f"execution.{run.id}.f", type="other", data=1)
    (left.path / "f").write_text("x")
    (left.path / "g").write_text("x")

    assert collect(run, left) == []

    theirs.refresh_from_db()
    assert (theirs.data, theirs.last_version) == (1, 0)
    assert Artifact.objects.filter(execution_id=run.id, last_version=1).count() == 2


def test_without_the_lease_nothing_is_stored(run, left):
    (left.path / "f").write_text("x")

    assert collect(Run(run.id, uuid.uuid4()), left) == []

    assert not Artifact.objects.exists()


def test_an_execution_has_its_limit_over_all_attempts(run, left, settings):
    settings.ATTUNE_ARTIFACT_TOTAL_MB = 1
    (left.path / "f").write_bytes(bytes(700_000))
    assert collect(run, left) == []

    assert collect(run, left) == ["f: the execution left too much already, in earlier attempts"]

    assert ArtifactVersion.objects.count() == 1


def test_a_file_over_the_limit_is_a_warning(run, left, settings):
    settings.ATTUNE_ARTIFACT_MAX_MB = 1
    with open(left.path / "sparse", "wb") as file:
        file.truncate(10**12)
    (left.path / "good").write_text("x")

    assert collect(run, left) == ["sparse: larger than 1048576 bytes"]

    assert list(stored()) == ["good"]


def test_a_file_that_can_not_be_read_does_not_take_others_along(run, left, monkeypatch):
    for name in ("a", "b", "c"):
        (left.path / name).write_text(name)
    real = content.Writer.write

    def write(self, version_id, file, most):
        if file.read(1) == b"b":
            raise OSError(5, "Input/output error")
        file.seek(0)
        return real(self, version_id, file, most)

    monkeypatch.setattr(content.Writer, "write", write)

    assert collect(run, left) == ["b: Input/output error"]

    assert set(stored()) == {"a", "c"}
    assert all(one.size_bytes == 1 for one in stored().values())


def test_secrets_in_names_are_masked(run, left):
    (left.path / "token-hunter22").write_text("x")
    (left.path / "link-hunter22").symlink_to("/")

    warnings = collect(run, left, lambda text: text.replace("hunter22", "********"))

    assert list(stored()) == ["token-********"]
    assert warnings == ["link-********: a link"]
    assert Artifact.objects.get().ref == f"execution.{run.id}.token-________"


@pytest.mark.parametrize(
    ("problem", "warning"),
    [
        (OperationalError("gone"), "files could not be stored: the database was away"),
        (ValueError("odd"), "files could not be stored: ValueError"),
    ],
)
def test_whatever_goes_wrong_is_a_warning(run, left, monkeypatch, problem, warning):
    (left.path / "f").write_text("x")

    def fail(*_):
        raise problem

    monkeypatch.setattr(storing, "store", fail)
    monkeypatch.setattr(collecting.connections, "close_all", lambda: None)

    assert collect(run, left) == [warning]


def test_a_folder_that_became_a_link_is_a_warning(run, left, tmp_path):
    left.path.rmdir()
    left.path.symlink_to(tmp_path)

    (warning,) = collect(run, left)

    assert warning.startswith("the folder can't be read")


def test_an_empty_folder_costs_no_statement(run, left, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert collect(run, left) == []


def test_sweeping_removes_what_ended_runs_left_and_nothing_else(run, left, make_run, tmp_path):
    shared = left.path.parent
    over = RunFolder(shared, make_run(action_ref="demo.other").id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET status = 'completed', lease_token = NULL, finished_at = now()"
            " WHERE id = %s",
            [int(over.path.name)],
        )
    for name in ("cache", "999999999999", ".removed-x"):
        (shared / name).mkdir()

    assert sweep(shared) == 2

    assert {one for one in os.listdir(shared) if not one.startswith(".removed")} == {
        left.path.name, "cache", "999999999999",
    }  # fmt: skip
