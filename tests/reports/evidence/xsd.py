"""Checks a file against an XSD: the part of the language that junit.xsd uses, since no schema library is locked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

XS: Final = "{http://www.w3.org/2001/XMLSchema}"
TYPES: Final = {
    "xs:string": r"(?s:.*)",
    "xs:nonNegativeInteger": r"\d+",
    "xs:decimal": r"-?\d+(\.\d+)?",
    "xs:dateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
}


class Schema:
    """An XSD whose global elements refer to one another."""

    def __init__(self, path: Path) -> None:
        root = ElementTree.parse(path).getroot()
        self.elements = {e.get("name"): e for e in root.findall(f"{XS}element")}
        self.types = {e.get("name"): e for e in root.findall(f"{XS}complexType")}

    def find_problems(self, path: Path) -> list[str]:
        return list(self._check(ElementTree.parse(path).getroot(), ""))

    def _check(self, element: Element, place: str) -> Iterator[str]:
        where = f"{place}/{element.tag}"
        declared = self.elements.get(element.tag)
        if declared is None:
            yield f"{where}: no such element"
            return
        inner = declared.find(f"{XS}complexType")
        kind = inner if inner is not None else self.types.get(declared.get("type"))
        children = " ".join([*(child.tag for child in element), ""])
        if not re.fullmatch(self._pattern(kind), children):
            yield f"{where}: its children are {children or 'none'}"
        yield from self._check_attributes(element, kind, where)
        for child in element:
            yield from self._check(child, where)

    def _pattern(self, kind: Element | None) -> str:
        return (
            "".join(self._particle(part) for part in kind if part.tag != f"{XS}attribute") if kind is not None else ""
        )

    def _particle(self, part: Element) -> str:
        if part.tag == f"{XS}element":
            inner = f"{re.escape(part.get('ref', ''))} "
        else:
            inner = ("|" if part.tag == f"{XS}choice" else "").join(map(self._particle, part))
        most = part.get("maxOccurs", "1")
        return f"(?:{inner}){{{part.get('minOccurs', '1')},{'' if most == 'unbounded' else most}}}"

    def _check_attributes(self, element: Element, kind: Element | None, where: str) -> Iterator[str]:
        known = {a.get("name"): a for a in kind.findall(f"{XS}attribute")} if kind is not None else {}
        yield from (f"{where}: no attribute {name!r} is declared" for name in element.keys() - known.keys())
        for name, attribute in known.items():
            value = element.get(str(name))
            if value is None and attribute.get("use") == "required":
                yield f"{where}: has no {name}"
            elif value is not None and not re.fullmatch(TYPES[attribute.get("type", "")], value):
                yield f"{where}: {name} is {value!r}, no {attribute.get('type')}"
