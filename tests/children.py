"""Python programs run as processes of their own: for what may abort, hang, or end the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

WATCHDOG = 300  # seconds: nothing here takes one, but for a machine that does much else


def run(
    code: str, *args: str, env: dict[str, str] | None = None, timeout: float = WATCHDOG
) -> subprocess.CompletedProcess[str]:
    """Run a program; a hang is `subprocess.TimeoutExpired`."""
    command = [sys.executable, "-c", textwrap.dedent(code), *args]
    return subprocess.run(
        command, env=os.environ | (env or {}), capture_output=True, text=True, timeout=timeout, check=False
    )


def run_checked(code: str, *args: str, env: dict[str, str] | None = None, timeout: float = WATCHDOG) -> str:
    """What a program prints that ends with status 0 and complains of nothing."""
    result = run(code, *args, env=env, timeout=timeout)
    assert result.returncode == 0, f"status {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()
