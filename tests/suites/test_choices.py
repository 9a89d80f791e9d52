"""Several choices are asked greedily, and where that is refused by a draw that leaves one token: an honest refusal of
both is no evidence, and a 5xx is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.client.client import Client, EngineRefused
from suites import test_fields

(ITEM,) = CanaryBank().facts(1)
SAID = {"choices": [{"index": i, "message": {"content": "Rome."}} for i in range(2)]}


class Refusing:
    """Refuses requests at the temperatures of `refused` with a status."""

    model, switch = "m", "enable_thinking"

    def __init__(self, refused: tuple[float, ...], status: int = 400) -> None:
        self.refused, self.status = refused, status
        self.asked: list[Mapping[str, Any]] = []

    def room(self, _: object, *, thinking: bool = False) -> int:
        return 8

    def post_document(self, _: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        if body["temperature"] in self.refused:
            raise EngineRefused(self.status, "n must be 1")
        return SAID


@pytest.mark.parametrize(
    ("client", "asked", "ok", "sensitive"),
    [
        (Refusing(()), [(0.0, None)], True, True),
        (Refusing((0.0,)), [(0.0, None), (1.0, 1)], True, True),
        (Refusing((0.0, 1.0)), [(0.0, None), (1.0, 1)], True, False),
        (Refusing((0.0, 1.0), status=500), [(0.0, None), (1.0, 1)], False, True),
    ],
)
def test_choices_that_are_refused_greedily_are_drawn(
    client: Refusing, asked: list[tuple[float, int | None]], ok: bool, sensitive: bool
) -> None:
    found = test_fields._ask_for_choices(cast(Client, client), ITEM)
    assert [(body["temperature"], body.get("top_k")) for body in client.asked] == asked
    assert (found.ok, found.sensitive) == (ok, sensitive)
