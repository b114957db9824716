"""The command line where streams cannot take what it says: other encodings, closed, full, left by their reader."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from interruptible import interruptible

from fastconv.cli.main import main

pytest.importorskip("rich")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

TINY = ("--channels=2", "--size=6", "--kernels=3", "--seconds=0.0005", "--repeats=1")
COMPARE = ("compare", *TINY, "--no-memory", "--no-baselines", "--algorithms=direct,winograd")
EXPLAIN = ("explain", "--input=1,4,8,8", "--weight=4,4,3,3")
COMMANDS: dict[str, tuple[str, ...]] = {
    "info": ("info",),
    "compare": COMPARE,
    "compare csv": (*COMPARE, "--csv"),
    "explain": EXPLAIN,
    "advise": ("advise", "--input=2,6,6", "--weight=2,2,3,3", "--seconds=0.0005", "--repeats=1", "--no-memory"),
    "bench peak": ("bench", "peak", "--isa=scalar", "--threads=1", "--size=16", "--seconds=0.0005"),
    "help": ("bench", "--help"),
}


def run_into(encoding: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, bytes]:
    """Exit code and bytes of a command whose standard output has an encoding."""
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        stream = io.TextIOWrapper(written, encoding=encoding, errors="strict")
        patch.setattr(sys, "stdout", stream)
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        assert stream.errors == "strict", "left as it was"
        stream.flush()
        return code, written.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_writes_in_the_encoding_there_is(
    name: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, written = run_into(encoding, monkeypatch, *COMMANDS[name])
    assert code == 0
    text = written.decode(encoding)
    assert "??" not in text, "characters were lost"
    if "peak" in name or name in ("compare", "advise"):
        assert "-----" in text, "the rule of the table"


def test_tables_look_the_same_in_ascii_but_for_their_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastconv.cli.bench_diff.difference", lambda before, after, engine: _difference(engine))
    monkeypatch.setattr("fastconv.cli.bench_diff._read", lambda options, which: {})
    plain, rich = (
        run_into(name, monkeypatch, "bench", "diff", "a", "b")[1].decode(name) for name in ("ascii", "utf-8")
    )
    assert plain == rich.replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-")
    assert plain != rich


def _difference(engine: str) -> object:
    from fastconv.bench.diff import Change, Difference

    change = Change("a layer", engine, 1.0, 2.0, 1.0, 2.0, "slower", False)
    return Difference(engine, (change,), 2.0, (), (), {})


def child(*arguments: str, **streams: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `streams` as subprocess.run takes them."""
    return subprocess.run(
        [sys.executable, "-m", "fastconv", *arguments], text=True, timeout=120, check=False, **streams  # type: ignore[call-overload]
    )  # fmt: skip


def closing(descriptor: int) -> Callable[[], None]:
    return lambda: os.close(descriptor)


def test_closed_standard_output_is_said_before_any_work() -> None:
    for arguments in (("info",), ("--help",), ("compare", "--seconds=3000")):
        done = child(*arguments, preexec_fn=closing(1), stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (1, "fastconv: standard output is closed\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_standard_output_is_said_before_any_work() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = child("compare", "--seconds=3000", stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1
        assert done.stderr.startswith("fastconv: standard output cannot be written to: ")
        assert done.stderr.count("\n") == 1
        assert child("info", stdout=full, stderr=full).returncode == 1


def test_closed_standard_error_does_not_reach_standard_output() -> None:
    done = child(*COMPARE, "--json", preexec_fn=closing(2), stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["parts"]


@pytest.mark.parametrize("arguments", [("info",), ("compare", "--help"), (*EXPLAIN, "--json")], ids=" ".join)
def test_a_reader_that_left_is_no_fault(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = child(*arguments, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_streams_are_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert run_into("utf-8", monkeypatch, "info")[0] == 0
    assert sys.stderr is None


def test_an_exception_that_no_environment_explains_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastconv.cli.info.show_config", lambda **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device"), 1, "fastconv: [Errno 28] No space left on device\n"),
        (MemoryError(), 1, "fastconv: not enough memory\n"),
        (MemoryError("8 bytes"), 1, "fastconv: not enough memory: 8 bytes\n"),
        (RuntimeError("no thread"), 1, "fastconv: no thread\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (BrokenPipeError(), 141, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_the_environment_does_is_a_line(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr("fastconv.cli.info.show_config", fail)
    assert main(["info"]) == code
    assert capsys.readouterr() == ("", said)


def test_ctrl_c_ends_the_whole_group_without_a_traceback_and_shows_the_cursor_again() -> None:
    """As a terminal sends it: to the process, and to those that measure memory for it, while they start."""
    pty = pytest.importorskip("pty")
    leading, following = pty.openpty()
    arguments = [sys.executable, "-m", "fastconv", "compare", *TINY, "--no-baselines"]
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    with interruptible(arguments, stderr=following, env=environment, start_new_session=True) as process:
        os.close(following)
        seen = b""
        while b"memory of" not in seen:
            seen += os.read(leading, 4096)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        while True:
            try:
                more = os.read(leading, 4096)
            except OSError:  # the last who had it open is gone
                break
            if not more:
                break
            seen += more
    os.close(leading)
    assert process.returncode == 130
    assert out == ""
    assert b"interrupted" in seen and b"Traceback" not in seen
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") >= 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="signal masks are read in /proc")
def test_processes_that_measure_begin_with_ctrl_c_blocked() -> None:
    code = """
        import multiprocessing
        from multiprocessing import forkserver
        from pathlib import Path
        from fastconv.bench import memory
        process = multiprocessing.get_context("forkserver").Process(target=print)
        memory.start(process)
        process.join()
        for pid in ("self", forkserver._forkserver._forkserver_pid):
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            print(int(status["SigBlk"], 16) >> 1 & 1)  # SIGINT is 2
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["0", "1"], done.stderr
