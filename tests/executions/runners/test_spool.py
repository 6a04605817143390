import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.runners import spool as spools
from executions.runners.capture import Capture
from executions.runners.spool import Spool


@given(st.lists(st.binary(max_size=20)), st.integers(0, 40), st.integers(0, 200), st.integers(0, 50))
def test_what_was_added_is_read_back_wherever_it_lies(pieces, in_memory, start, size):
    spool, whole = Spool(in_memory), b"".join(pieces)

    for piece in pieces:
        spool.add(piece)

    assert spool.size == len(whole)
    assert b"".join(spool.pieces(7)) == whole
    assert spool.read(start, size) == whole[start : start + size]


def test_its_file_has_no_name_and_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(spools.tempfile, "tempdir", str(tmp_path))
    spool = Spool(in_memory=10)
    spool.add(b"more than ten bytes")
    file = spool._file

    assert list(tmp_path.iterdir()) == []
    assert len(spool._kept) == 0
    del spool
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_a_full_disk_cuts_what_is_captured(monkeypatch):
    capture = Capture()
    capture.add(b"kept")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spools.os, "pwrite", full)
    capture.add(random.randbytes(spools.IN_MEMORY))
    captured = capture.close()

    assert captured.truncated
    assert captured.raw == b"kept"
