"""A parser of the glm47 format as a driver would offer it, and the ways in which a real one has been seen to fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matrix.parsers.judge import allowed_types, type_of

CALL = re.compile(r"<tool_call>(.*?)((?:<arg_key>.*?</arg_key><arg_value>.*?</arg_value>)*)</tool_call>", re.DOTALL)
ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key><arg_value>(.*?)</arg_value>", re.DOTALL)


class ToyPair:
    """The inverse of the template; `spoil` changes what it says of (outcome, number of deltas; 0 when whole)."""

    def __init__(self, tools: Mapping[str, Any], spoil: Callable[[dict[str, Any], int], Any] | None = None) -> None:
        self.tools, self.spoil = tools, spoil

    def whole(self, reply: str, thinks: bool, finished: bool) -> Any:
        return self._answer(reply, thinks, 0)

    def stream(self, deltas: Sequence[Sequence[str]], thinks: bool, finished: bool, ended: bool) -> Any:
        return self._answer("".join(text for delta in deltas for text in delta), thinks, len(deltas))

    def _answer(self, reply: str, thinks: bool, deltas: int) -> Any:
        think, _, rest = reply.removeprefix("<think>").partition("</think>") if thinks else ("", "", reply)
        calls = [[name.strip(), json.dumps(self._read(name.strip(), text))] for name, text in CALL.findall(rest)]
        say = CALL.sub("", rest).partition("<tool_call>")[0]
        outcome = {"think": think, "say": say, "calls": calls}
        return outcome if self.spoil is None else self.spoil(outcome, deltas)

    def _read(self, name: str, text: str) -> dict[str, Any]:
        schema = self.tools.get(name, {})
        return {key: self._value(schema, key, value) for key, value in ARGUMENT.findall(text)}

    @staticmethod
    def _value(schema: Mapping[str, Any], key: str, text: str) -> Any:
        types = allowed_types(schema.get("properties", {}).get(key), schema)
        if types == {"string"}:
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if types is None or type_of(value) in types else text
