"""Animals that eat memory, time, files and disk."""

from tests.zoo.animal import CAGED, python, shell

RESOURCES = [
    python(
        "eats_memory",
        "import sys\nkept = []\nwhile True:\n    kept.append(bytearray(16 * 1024 * 1024))",
        statuses=("failed",),
        limits={"memory_mb": 256},
    ),
    python(
        "burns_time", "while True:\n    pass", statuses=("failed",), limits={"cpu_seconds": 1}, seconds=15
    ),
    shell("dumps_core", "ulimit -c; kill -ABRT $$", statuses=("failed",), says=r"^0\b"),
    shell(
        "fills_the_disk",
        'head -c 100000000 /dev/zero > "$HOME/big" || exit 9',
        statuses=("failed",),
        limits={"file_size_mb": 10},
    ),
    python(
        "makes_many_files",
        """
import os
home = os.environ["HOME"]
for number in range(5000):
    open(f"{home}/{number}", "w").close()
print("made")
""",
        says="^made",
    ),
    python(
        "digs_deep",
        """
import os
os.chdir(os.environ["HOME"])
for _ in range(800):
    os.mkdir("deeper")
    os.chdir("deeper")
""",
    ),
    shell(
        "locks_its_folders",
        'mkdir -p "$HOME/a/b"; touch "$HOME/a/b/c"; chmod 000 "$HOME/a/b" "$HOME/a" "$HOME"',
    ),
    shell("deletes_its_home", 'rm -rf "$HOME"; echo homeless', says="homeless"),
    shell("deletes_where_it_stands", 'd=$(mktemp -d); cd "$d"; rmdir "$d"; echo nowhere; ls', says="nowhere"),
    python(
        "opens_many_files",
        "import os\nkept = [open('/dev/null') for _ in range(5000)]",
        statuses=("failed",),
        error="Too many open files",
        limits={"files": 128},
    ),
    python(
        "starts_many_threads",
        """
import threading, time
for _ in range(3000):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
""",
        statuses=("failed", "timeout", "completed"),
        limits={"processes": 100},
        modes=CAGED,
    ),
    shell(
        "raises_its_limits",
        "ulimit -n 100000 2>&1; ulimit -n",
        limits={"files": 128},
        modes=CAGED,
        says=r"\b128\b",
    ),
    shell(
        "leaves_traps_among_its_artifacts",
        'mkdir -p "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID"; cd "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID"\n'
        "ln -s /etc/passwd link; mkfifo pipe; ln -s / root; mkdir -p ..a\n"
        "echo fine > 'good file.txt'; echo x > $'new\\nline'",
        never=("root:x:0:0",),
    ),
]
