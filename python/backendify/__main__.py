"""The command `backendify`, also as `python -m backendify`."""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Run the command line, and end the process with its exit status."""
    # While the imports run nobody could catch a KeyboardInterrupt: let Ctrl-C simply end the process.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from backendify import cli  # noqa: PLC0415 - the import is what takes the time

    signal.signal(signal.SIGINT, handler)
    status = cli.main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    # Not sys.exit: a thread of the server may just be about to enter the interpreter, which then aborts the process
    # (one stop in six was seen to end with SIGABRT).
    os._exit(status)


if __name__ == "__main__":
    main()
