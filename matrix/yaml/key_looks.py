"""Keys that a reader takes for another one: they look alike and are two to YAML."""

from __future__ import annotations

import unicodedata


def looks_like_another(word: str) -> bool:
    """Whether a reader may take a key for another one: blanks around it, letters of two scripts, another form.

    An accented letter may be one sign or two, a letter full or half width, and Cyrillic has letters that look Latin.
    """
    if word.isascii():
        return word[:1] == " " or word[-1:] == " "
    return not unicodedata.is_normalized("NFKC", word) or word != word.strip() or len(_list_scripts(word)) > 1


def _list_scripts(word: str) -> set[str]:
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in word if letter.isalpha()}


def explain_look(word: str) -> str:
    """Return what is wrong with such a key, and what to write."""
    usual = unicodedata.normalize("NFKC", word).strip()
    if usual == word:
        return (
            f"the key {word!a} mixes letters of {' and '.join(sorted(_list_scripts(word)))}: it looks like another key"
        )
    if usual == word.strip():
        return f"the key {word!r} has a blank at an end: write {usual!r}"
    return f"the key {word!a} is written in another Unicode form than {usual!a}: write {usual!r}"
