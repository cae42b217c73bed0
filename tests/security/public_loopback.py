"""app.py in a world where loopback counts as a public address: `python -m tests.security.…`.

Gradio fetches only what is public. An attacker's site is; a test's site is on this machine.
"""

import sys

import safehttpx  # type: ignore[import-untyped]

import app

if __name__ == "__main__":
    safehttpx.is_public_ip = lambda _address: True
    raise SystemExit(app.main(sys.argv[1:]))
