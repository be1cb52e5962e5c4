"""The command `backendify`, also as `python -m backendify`."""

import signal
import sys


def main() -> int:
    """Run the command line: the exit status."""
    # While the imports run nobody could catch a KeyboardInterrupt: let Ctrl-C simply end the process.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from backendify import cli  # noqa: PLC0415 - the import is what takes the time

    signal.signal(signal.SIGINT, handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
