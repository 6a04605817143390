"""A process that hangs between the lock of a group and the commit of an admission, for a test to kill."""

import sys
import time


def main() -> None:
    import django

    django.setup()
    from executions import lifecycle
    from executions.lifecycle import admitting

    def hang(_: object) -> None:
        print("ADMITTED", flush=True)
        time.sleep(600)

    admitting.announce = hang  # the last thing before the commit
    getattr(lifecycle, sys.argv[1])(100)


if __name__ == "__main__":
    main()
