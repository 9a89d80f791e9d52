"""How an engine ended that was asked to stop, from its exit code and what its log said since."""

from __future__ import annotations

import signal

import pytest

from matrix.judging.engine_end import FATAL, judge_end

STEP = "supervisor: SIGINT to process group 7, waiting 20 s\n"
RAISED = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n'
INTERRUPTED = f"{RAISED}KeyboardInterrupt\n"


@pytest.mark.parametrize("code", [0, 129, 130, 131, 137, 143])
@pytest.mark.parametrize("said", [STEP, f"{STEP}{INTERRUPTED}", f"{STEP}INFO: Finished server process [7]\n"])
def test_what_a_stop_asks_for_is_clean(code: int, said: str) -> None:
    found = judge_end(code, 1.5, said)
    assert (found.outcome, found.text, found.exit_code, found.seconds) == ("clean", "", code, 1.5)


@pytest.mark.parametrize("number", sorted(FATAL))
def test_a_fatal_signal_is_a_crash_with_the_words_of_the_log(number: int) -> None:
    found = judge_end(128 + number, 1.0, f"{STEP}free(): invalid pointer\n")
    name = signal.Signals(number).name
    assert (found.outcome, found.text) == ("crash", f"it ended by {name} when it was stopped: free(): invalid pointer")


def test_a_fatal_signal_on_the_way_to_our_kill_is_a_crash_all_the_same() -> None:
    assert judge_end(128 + signal.SIGSEGV, 30.0, STEP, killed=True).outcome == "crash"


def test_an_engine_that_had_to_be_killed_says_what_it_waited_for() -> None:
    said = f"{STEP}[2026-11-29 02:03:25] Waiting 60.0 seconds for CUDA coredumps before exiting.\n{STEP}"
    found = judge_end(137, 30.2, said, killed=True)
    assert found.outcome == "hang"
    assert found.text.startswith("it did not end within 30 s of being asked to stop, and was killed: ")
    assert found.text.endswith("Waiting 60.0 seconds for CUDA coredumps before exiting.")


def test_the_kernels_kill_is_a_crash_and_ours_is_not() -> None:
    told = "the kernel killed 1 process for lack of main memory"
    assert judge_end(137, 1.0, STEP, epitaph=told).text == f"when it was stopped, {told}"
    assert judge_end(137, 30.0, STEP, epitaph=told, killed=True).outcome == "hang"


@pytest.mark.parametrize(
    ("code", "said", "text"),
    [
        (1, STEP, "it ended with exit code 1 when it was stopped"),
        (
            1,
            f"{STEP}{RAISED}RuntimeError: twice\n",
            "it ended with exit code 1 when it was stopped: RuntimeError: twice",
        ),
        (
            0,
            f"{STEP}{RAISED}RuntimeError: twice\n",
            "its log tells an exception while it was being stopped: RuntimeError",
        ),
    ],
)
def test_another_code_and_an_exception_are_trouble(code: int, said: str, text: str) -> None:
    found = judge_end(code, 1.0, said)
    assert found.outcome == "trouble" and found.text.startswith(text)


@pytest.mark.parametrize(
    "raised", ["KeyboardInterrupt", "asyncio.exceptions.CancelledError", "BrokenPipeError: [Errno 32]"]
)
def test_what_an_interrupt_raises_by_itself_is_no_trouble(raised: str) -> None:
    assert judge_end(0, 1.0, f"{STEP}{RAISED}{raised}\n").outcome == "clean"
    other = f"{STEP}{RAISED}{raised}\n\n{RAISED}ValueError: other\n"
    assert judge_end(0, 1.0, other).text.endswith("ValueError: other")
