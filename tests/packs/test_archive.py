import gzip
import io
import tarfile
import tracemalloc

import pytest

from attune_project.packs import archive
from attune_project.packs.archive import ArchiveError, pack_folder, unpack


def member(name, content=b"", **values):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


def packed(*members, **options):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", **options) as tar:
        for info, content in members:
            tar.addfile(info, content)
    buffer.seek(0)
    return buffer


def test_files_and_folders_are_unpacked(tmp_path):
    unpack(
        packed(
            member("a", type=tarfile.DIRTYPE), member("a/x.sh", b"echo", mode=0o755), member("./b/y", b"1")
        ),
        tmp_path,
    )

    assert (tmp_path / "a/x.sh").read_bytes() == b"echo"
    assert (tmp_path / "a/x.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "b/y").stat().st_mode & 0o777 == 0o644


def test_a_file_is_never_made_setuid(tmp_path):
    unpack(packed(member("x", b"1", mode=0o6777)), tmp_path)

    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\..\\x"])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(ArchiveError, match="leads out of the pack"):
        unpack(packed(member(name, b"1")), tmp_path / "inside")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["a\nb", "a\udcff", "a/" * 2000 + "x"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(ArchiveError, match="isn't a name for a file"):
        unpack(packed(member(name, b"1"), format=tarfile.GNU_FORMAT), tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(ArchiveError, match="is a link or a device"):
        unpack(packed(member("x", type=kind, linkname="/etc/passwd")), tmp_path)


def test_a_file_where_a_folder_should_be_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="can't be written"):
        unpack(packed(member("a", b"1"), member("a/b", b"2")), tmp_path)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 3)

    with pytest.raises(ArchiveError, match="more than 3 files"):
        unpack(packed(*(member(f"f{number}") for number in range(4))), tmp_path)


def test_more_than_a_hundred_megabytes_are_refused(tmp_path):
    one = member("a", b"\0" * (60 * 2**20))
    two = member("b", b"\0" * (60 * 2**20))

    with pytest.raises(ArchiveError, match="more than 100 MiB unpacked"):
        unpack(packed(one, two), tmp_path)


def test_a_bomb_in_a_header_does_not_fill_the_memory(tmp_path):
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, 2 * 2**30
    body = gzip.compress(b"\0" * 2**24, 1) * 20  # members of a gzip follow each other: 320 MiB
    bomb = io.BytesIO(gzip.compress(pax.tobuf(tarfile.USTAR_FORMAT)) + body)
    tracemalloc.start()

    with pytest.raises(ArchiveError, match="more than 100 MiB unpacked"):
        unpack(bomb, tmp_path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * 2**20


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", gzip.compress(b"no tar at all" * 100)])
def test_what_is_no_archive_is_refused(tmp_path, raw):
    with pytest.raises(ArchiveError, match=r"not a tar\.gz"):
        unpack(io.BytesIO(raw), tmp_path)


def test_a_truncated_archive_is_refused(tmp_path):
    whole = packed(member("a", bytes(range(256)) * 400)).getvalue()

    with pytest.raises(ArchiveError, match=r"not a tar\.gz"):
        unpack(io.BytesIO(whole[: len(whole) // 2]), tmp_path)


@pytest.mark.parametrize("top", ["", "shop-1.0/"])
def test_the_pack_may_lie_in_one_folder(tmp_path, top):
    unpack(packed(member(f"{top}pack.yaml", b"ref: shop"), member(f"{top}actions/a", b"")), tmp_path)

    assert pack_folder(tmp_path) == tmp_path / top.strip("/")


def test_an_archive_without_pack_yaml_is_refused(tmp_path):
    unpack(packed(member("a/b/pack.yaml", b"ref: shop")), tmp_path)

    with pytest.raises(ArchiveError, match=r"no pack\.yaml at its top"):
        pack_folder(tmp_path)
