import os
from pathlib import Path

from attune_project.embedded.logs import LONGEST_LINE, Prefixer, Terminal


def written(path: Path, *outputs: bytes, quiet: bool = False) -> Terminal:
    terminal = Terminal(os.open(path, os.O_WRONLY | os.O_CREAT), quiet=quiet)
    prefixer = terminal.prefixer("web")
    for output in outputs:
        prefixer.feed(output)
    return terminal


def test_each_line_gets_its_prefix(log: Path) -> None:
    written(log, b"one\ntwo\n")

    assert log.read_text() == "web      | one\nweb      | two\n"


def test_a_line_that_comes_in_pieces_stays_one(log: Path) -> None:
    written(log, b"on", b"e\ntw")

    assert log.read_text() == "web      | one\n"


def test_the_last_line_needs_no_line_end(log: Path) -> None:
    terminal = Terminal(os.open(log, os.O_WRONLY | os.O_CREAT))
    prefixer = Prefixer(terminal, b"> ")
    prefixer.feed(b"gone")

    prefixer.finish()

    assert log.read_text() == "> gone\n"


def test_output_without_lines_is_bounded(log: Path) -> None:
    written(log, b"x" * LONGEST_LINE, b"xx")

    assert len(log.read_bytes()) == LONGEST_LINE + 2 + len("web      | \n")


def test_a_quiet_terminal_speaks_when_asked(log: Path) -> None:
    terminal = written(log, b"one\n", quiet=True)
    assert log.read_text() == ""

    terminal.show_kept()

    assert log.read_text() == "web      | one\n"


def test_no_colour_where_nobody_looks(log: Path) -> None:
    assert written(log).coloured is False
