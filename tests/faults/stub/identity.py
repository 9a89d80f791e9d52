"""Another engine than the one that was asked: by the name in its replies, from the first one on or later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.faults.stub.defect import Defect, always, when
from tests.faults.suite_tests import ANY_REPLY, CALL, FACTS, LOADED, MARKERS, SINGLE

OTHER_MODEL: Final = "llama-3-8b-instruct"

DEFECTS: Mapping[str, Defect] = {
    "replies_in_another_name": Defect(
        family="identity", kills=(*ANY_REPLY, SINGLE, LOADED), damage=always(model=OTHER_MODEL)
    ),
    "changes_name_in_mid_run": Defect(
        family="identity",
        kills=(FACTS, CALL, MARKERS, SINGLE, LOADED),
        damage=when(lambda a: a.number > 1, always(model=OTHER_MODEL)),
    ),
    "ends_by_itself_with_code_0": Defect(
        does="the process ends with exit code 0 at the second request",
        family="lifecycle",
        kills=(FACTS, CALL),
        damage=when(lambda a: a.number > 1, always(die=True, exit_code=0)),
    ),
}
