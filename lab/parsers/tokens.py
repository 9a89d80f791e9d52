"""A tokenizer that holds each marker of a model family as one token and every other character as one.

The finest cut that a real tokenizer of the family can make: it holds the same markers as single added tokens, so that
no delta of a server ends within one. Runs inside the release's environment and knows nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

TURNS = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "[gMASK]", "<sop>", "<|endoftext|>")


class MarkerTokenizer:
    """As much of a tokenizer as parsers ask for: a vocabulary, and text from ids and back."""

    chat_template = None
    eos_token = "<|user|>"  # noqa: S105 - a token of text
    is_fast = True

    def __init__(self, markers: Sequence[str], texts: Iterable[str]) -> None:
        self.markers = (*markers, *TURNS)
        characters = sorted({character for text in texts for character in text})
        self._ids = {token: number for number, token in enumerate((*self.markers, *characters))}
        self._tokens = list(self._ids)
        # markers before single characters, and a dot that takes newlines: no text is lost
        self._pattern = re.compile("|".join(map(re.escape, self.markers)) + "|(?s:.)")
        self.eos_token_id = self._ids[self.eos_token]
        self.all_special_ids = [self._ids[token] for token in TURNS]
        self.all_special_tokens = list(TURNS)
        self.vocab_size = len(self._tokens)

    def split(self, text: str) -> list[str]:
        """Return the text's tokens as text."""
        return self._pattern.findall(text)

    def get_vocab(self) -> dict[str, int]:
        """Return token text to id."""
        return dict(self._ids)

    @property
    def vocab(self) -> dict[str, int]:
        """Return token text to id."""
        return self.get_vocab()

    def get_added_vocab(self) -> dict[str, int]:
        """Return the markers' ids."""
        return {token: self._ids[token] for token in self.markers}

    def encode(self, text: str, **_: object) -> list[int]:
        """Return the text's ids."""
        return [self._ids[token] for token in self.split(text)]

    def decode(self, ids: Iterable[int] | int, **_: object) -> str:
        """Return the ids' text."""
        return "".join(self._tokens[number] for number in ([ids] if isinstance(ids, int) else ids))

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int | None] | None:
        """Return the id of one token, or those of several."""
        return self._ids.get(tokens) if isinstance(tokens, str) else [self._ids.get(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Sequence[int], **_: object) -> list[str]:
        """Return the tokens' text, one each."""
        return [self._tokens[number] for number in ids]
