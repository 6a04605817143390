"""Animals that misuse stdin, stdout, stderr and what is parsed of them."""

from tests.zoo.animal import CAGED, FOREVER, python, shell

MEGABYTE = 1024 * 1024
LONG_LINE = "head -c 200000000 /dev/zero | tr '\\0' 'x'"
TIMEOUT = {"statuses": ("timeout",), "error": r"timed out after 2 s", "seconds": 2}

STREAMS = [
    shell(
        "floods_stdout",
        "head -c 1073741824 /dev/zero | tr '\\0' 'y'",
        result={"stdout_truncated": True},
        seconds=60,
        modes=("none",),
    ),
    shell(
        "floods_stdout_in_a_cage",
        "head -c 100000000 /dev/zero | tr '\\0' 'y'",
        result={"stdout_truncated": True},
        seconds=60,
        modes=CAGED,
    ),
    shell(
        "floods_stderr",
        "head -c 100000000 /dev/zero | tr '\\0' 'z' >&2",
        result={"stderr_truncated": True},
        seconds=60,
    ),
    shell(
        "one_long_line",
        f"{LONG_LINE}; echo; echo end",
        result={"stdout_truncated": True},
        seconds=60,
        modes=("user",),
    ),
    shell("writes_binary", "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2"),
    shell("writes_nul", "printf 'a\\0b'", says="^a\ufffdb$"),
    python(
        "writes_broken_utf8",
        "import os\nos.write(1, b'a\\xed\\xa0\\x80\\xff b\\xe2\\x82')",
        says="^a\ufffd+ b\ufffd$",
    ),
    python(
        "dribbles",
        """
import os, time
for byte in "gr\u00fc\u00dfe \u20ac \U0001f980".encode():
    os.write(1, bytes([byte]))
    time.sleep(0.02)
""",
        says="^gr\u00fc\u00dfe \u20ac \U0001f980$",
    ),
    shell("million_lines", "seq 1000000", says="^1\n2\n3\n", seconds=60),
    shell("writes_escapes", "printf '\\033]0;owned\\007\\033[2J\\r\\b'"),
    shell("closes_its_output", "exec >&- 2>&-\nsleep 1"),
    shell("closes_its_output_and_lives_on", f"exec >&- 2>&-\nsleep {FOREVER}", **TIMEOUT),
    shell("never_reads", "echo deaf", parameters={"filler": "f" * 5 * MEGABYTE}, says="^deaf$"),
    shell(
        "closes_stdin",
        "exec <&-\nsleep 0.3\necho closed",
        parameters={"filler": "f" * MEGABYTE},
        says="^closed$",
    ),
    shell("reads_to_the_end", "cat >/dev/null\ncat\necho end", says="^end$"),
    shell("asks_a_person", "read -r answer </dev/tty || echo alone", says="alone"),
    shell("writes_after_its_time", "trap 'while :; do echo late; done' TERM\nsleep 600 & wait", **TIMEOUT),
    python(
        "nested_json",
        "print('[' * 20000 + ']' * 20000)",
        output_format="json",
        statuses=("completed", "failed"),
    ),
    shell("json_nan", 'echo \'{"a": NaN, "b": 1e999}\'', output_format="json"),
    python(
        "json_of_many_digits", "print('9' * 100000)", output_format="json", statuses=("completed", "failed")
    ),
    shell(
        "yaml_bomb",
        "echo 'a: &a [x,x,x,x,x,x,x,x,x]'\n"
        + "\n".join(
            f"echo '{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]'"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        output_format="yaml",
        statuses=("completed", "failed"),
    ),
    shell("lies_in_jsonl", "echo '{\"a\":1}'\necho not json", output_format="jsonl"),
    shell(
        "huge_argument",
        "/bin/echo \"$(head -c 3000000 /dev/zero | tr '\\0' a)\" >/dev/null",
        statuses=("failed",),
        error="(?i)argument list too long",
    ),
]
