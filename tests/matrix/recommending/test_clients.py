"""A recommended launch says what its clients must know, as text and as JSON."""

from __future__ import annotations

from matrix.recommending.choose import recommend_launches
from matrix.recommending.clients import add_client_notes
from matrix.recommending.render import as_json, render_text
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()


def test_the_notes_stand_in_text_and_json() -> None:
    found = recommend_launches(MATRIX, MATRIX.rigs["sm90x8"], {}, globs=["glm53_fp8"])
    bare = render_text(found)
    told = add_client_notes(found)
    assert "clients  " not in bare and "clients  " in render_text(told)
    notes = as_json(told)["launches"][0]["clients"]
    assert {"check", "cause", "consequence", "remedy"} == set(notes[0])
