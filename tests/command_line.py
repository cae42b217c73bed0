"""app.py without a process of its own, for what has to do with its words and exit status alone."""

from app import main


def status(*arguments: str) -> int:
    """Exit status of `app.py` with `arguments`; what it prints is for pytest's `capsys`."""
    try:
        return main(arguments)
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)
