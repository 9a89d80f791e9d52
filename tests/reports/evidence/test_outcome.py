"""Whose fault comes first, for every pair of faults, however they are nested."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from matrix.errors import EngineExited, EngineNotReady, EngineReplyMalformed, HostError
from matrix.judging.status import Status
from reports.evidence.outcome import classify_fault

# In order: what comes first speaks, on whichever side of `raise ... from ...` it stands.
ORDER: tuple[tuple[type[Exception], Status], ...] = (
    (HostError, Status.HOST_ERROR),
    (EngineExited, Status.CRASH),
    (EngineNotReady, Status.HANG),
)
LATER: tuple[type[Exception], ...] = (EngineReplyMalformed, AssertionError, KeyError)  # judged by the outermost alone


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def far_caused(outer: Exception, inner: Exception) -> BaseException:
    return caused(outer, caused_by_value_error(inner))


def caused_by_value_error(inner: Exception) -> Exception:
    between = ValueError("between")
    between.__cause__ = inner
    return between


def grouped(outer: Exception, inner: Exception) -> BaseException:
    return ExceptionGroup("both", [outer, inner])


def cause_in_group(outer: Exception, inner: Exception) -> BaseException:
    return ExceptionGroup("one", [caused(outer, inner)])


NESTED = (caused, far_caused, grouped, cause_in_group)


@pytest.mark.parametrize("nest", NESTED)
@pytest.mark.parametrize("call", [True, False], ids=["call", "setup"])
@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(range(len(ORDER)), 2)])
def test_the_earlier_fault_speaks_on_either_side(
    first: int, second: int, call: bool, nest: Callable[[Exception, Exception], BaseException]
) -> None:
    (before, status), (after, _) = ORDER[first], ORDER[second]
    assert classify_fault(nest(before("a"), after("b")), call=call) is status
    assert classify_fault(nest(after("b"), before("a")), call=call) is status


@pytest.mark.parametrize("nest", NESTED)
@pytest.mark.parametrize("kind", LATER)
@pytest.mark.parametrize(("earlier", "status"), ORDER)
def test_each_of_them_speaks_before_any_other_exception(
    earlier: type[Exception],
    status: Status,
    kind: type[Exception],
    nest: Callable[[Exception, Exception], BaseException],
) -> None:
    assert classify_fault(nest(earlier("a"), kind("b")), call=True) is status
    assert classify_fault(nest(kind("b"), earlier("a")), call=True) is status


@pytest.mark.parametrize(
    ("error", "in_call", "in_setup"),
    [
        (EngineReplyMalformed("x"), Status.FAIL, Status.FAIL),
        (AssertionError("x"), Status.FAIL, Status.TEST_ERROR),
        (pytest.fail.Exception("x"), Status.FAIL, Status.TEST_ERROR),
        (KeyError("x"), Status.TEST_ERROR, Status.TEST_ERROR),
        (pytest.skip.Exception("x"), None, None),
        (None, None, None),
    ],
)
def test_alone_each_is_its_own(error: BaseException | None, in_call: Status | None, in_setup: Status | None) -> None:
    assert (classify_fault(error, call=True), classify_fault(error, call=False)) == (in_call, in_setup)


def test_a_context_is_no_cause() -> None:
    """What was being handled when it was raised did not bring it about."""
    error = KeyError("x")
    error.__context__ = HostError("y")
    assert classify_fault(error, call=True) is Status.TEST_ERROR
