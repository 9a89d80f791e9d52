"""What sets a shell's variable besides an assignment: a loop, and `read`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matrix.checking.variables import Variables, Word, expand_word
from matrix.checking.words import NAME, RawWord, Redirection, split_statements


def set_loop(words: Sequence[Word], variables: Variables) -> None:
    """`for TP in 8`: the one value of the loop; of several nobody knows which counts."""
    name, values = words[1].text, words[3:]
    variables.values.pop(name, None)
    if words[2].text == "in" and len(values) == 1 and values[0].known:
        variables.assign(name, (values[0],))


def read_into(words: Sequence[Word], redirections: Sequence[Redirection], variables: Variables) -> None:
    """`read -r -d '' ARGS <<EOF` takes the whole document; of any other `read` the value is not in the text."""
    names = [word.text for word in words[1:] if NAME.fullmatch(word.text)]
    for name in names:
        variables.values.pop(name, None)
    document = next((r for r in redirections if r.operator in ("<<", "<<-")), None)
    if len(names) == 1 and document is not None and "-d" in [word.text for word in words]:
        escaped = document.body.replace('"', '\\"')
        statements, _ = split_statements(f'"{escaped}"' if not document.quoted else "", "", document.body_line)
        raw = statements[0].words[0] if statements and statements[0].words else None
        text = expand_to_one(raw, variables) if raw is not None else Word(document.body, document.body_line)
        variables.assign(names[0], (text,))


def expand_to_one(raw: RawWord, variables: Variables) -> Word:
    """Expand a value into one word: a shell does not split an assignment."""
    found = expand_word(replace(raw, parts=tuple(replace(p, quoted=True) for p in raw.parts), quoted=True), variables)
    return Word(" ".join(w.text for w in found), raw.line, tuple(h for w in found for h in w.holes))
