"""Bills of materials: one for each lock, as fresh as it, and nobody's index in it."""

from __future__ import annotations

import json
import re

from packaging.utils import canonicalize_name

from ci.sbom import FOLDER, LOCKS, list_bills, make_bill


def test_every_lock_has_its_bill_and_no_bill_has_lost_its_lock() -> None:
    bills = dict(list_bills())
    assert {p.name for p in FOLDER.iterdir()} == {p.name for p in bills}
    stale = [p.name for p, text in bills.items() if p.read_text(encoding="utf-8") != text]
    assert stale == [], "python -m ci.sbom (make lock runs it)"


def test_a_bill_names_every_package_of_its_lock_once() -> None:
    lock = LOCKS / "run.lock"
    components = make_bill(lock)["components"]
    pinned = re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)
    assert sorted(c["name"] for c in components) == sorted(map(canonicalize_name, pinned))
    assert len({c["bom-ref"] for c in components}) == len(components) > 20


def test_a_bill_names_no_host_but_its_schemas() -> None:
    for path, text in list_bills():
        json.loads(text)
        assert set(re.findall(r"https?://([\w.-]+)", text)) == {"cyclonedx.org"}, path.name


def test_the_installer_is_locked_by_hash() -> None:
    lock = (LOCKS / "uv.lock").read_text()
    locked = re.findall(r"^([a-z]+)==[\d.]+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert locked == ["pip", "uv"] and "http" not in lock
    assert "--require-hashes -r requirements/uv.lock" in (LOCKS.parent / "ci" / "make_venv.sh").read_text()
