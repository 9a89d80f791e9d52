"""Writes a bill of materials (CycloneDX 1.6, JSON) for each lock under requirements/: `python -m ci.sbom`.

Written here: cyclonedx-bom 7.5.0 was tried, and puts an index's address into every component, which no lock of ours
names. The hashes stay in the lock, which the bill names by its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from matrix.checkout import CHECKOUT

LOCKS: Final = CHECKOUT / "requirements"
FOLDER: Final = LOCKS / "sbom"
PINNED: Final = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def make_bill(lock: Path) -> dict[str, Any]:
    """Make the bill of one lock; the same lock always gives the same bill."""
    text = lock.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = sorted({(canonicalize_name(m["name"]), m["version"]) for m in PINNED.finditer(text)})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "root", "name": lock.stem},
            "properties": [{"name": "lock:sha256", "value": digest}],
        },
        "components": [_make_component(name, version) for name, version in found],
    }


def _make_component(name: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def list_bills() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each bill."""
    for lock in sorted(LOCKS.rglob("*.lock")):
        name = "-".join(lock.relative_to(LOCKS).with_suffix("").parts)
        yield FOLDER / f"{name}.cdx.json", json.dumps(make_bill(lock), indent=1) + "\n"


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for path, text in list_bills():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(CHECKOUT)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
