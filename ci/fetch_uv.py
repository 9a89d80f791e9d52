"""python3 ci/fetch_uv.py DIR: download the uv that requirements/uv.lock names into DIR, and unpack its program there.

For ci/make_venv.sh, before there is an environment, so it imports nothing but Python's own. pip does the same, but
judges each of the six thousand files that an index has of uv: 3.3 s, where this takes 0.7 s. What pip knows and this
does not (a proxy, a certificate of the client's own, no index, another platform) is left to pip: exit 1, and why. Where
nobody names an index, it is the one that pip asks by itself: so pip must be importable (its wheel on PYTHONPATH does).
"""

from __future__ import annotations

import configparser
import hashlib
import html
import importlib
import os
import platform
import re
import ssl
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).resolve().parent.parent / "requirements" / "uv.lock"
MOST_BYTES: Final = 200_000_000  # a wheel of uv has 25 MB; an index that sends on and on is none
WITHIN_S: Final = 20.0  # an index that cannot be reached from here must not hold up a pip that can reach its own
# Where uv, which installs everything else, and pip look for their index; then pip's files.
INDEX_VARIABLES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
PIPS_OWN: Final = ("no-index", "proxy", "client-cert", "trusted-host")  # nothing here knows them
MODE: Final = 0o755


class LeftToPip(Exception):
    """What pip may be able to do, and this is not."""


def read_pinned(lock: str) -> tuple[str, frozenset[str]]:
    """Return uv's version and the sha256 of each of its files, from the text of a lock."""
    found = re.search(r"^uv==(\S+)((?:\s*\\\s+--hash=sha256:[0-9a-f]{64})+)", lock, re.MULTILINE)
    if found is None:
        raise LeftToPip("the lock names no uv with digests")
    return found[1], frozenset(re.findall(r"sha256:([0-9a-f]{64})", found[2]))


def read_settings(environment: Mapping[str, str], files: Sequence[Path]) -> dict[str, str]:
    """Return pip's settings, of its files and its variables; a later one wins."""
    found: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        parser.read(path, encoding="utf-8")
        for section in ("global", "install"):
            found |= dict(parser[section]) if parser.has_section(section) else {}
    named = {
        k.removeprefix("PIP_").lower().replace("_", "-"): v for k, v in environment.items() if k.startswith("PIP_")
    }
    return found | named


def list_files(environment: Mapping[str, str]) -> list[Path]:
    """List the places of pip's files on Linux, those that win last. PIP_CONFIG_FILE may say that there are none."""
    own = environment.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    home = Path(environment.get("HOME", "/nonexistent"))
    places = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    configured = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [*(Path(p) / "pip" / "pip.conf" for p in places.split(":") if p), Path("/etc/pip.conf")]
    users = [home / ".pip" / "pip.conf", configured / "pip" / "pip.conf", Path(sys.base_prefix) / "pip.conf"]
    return [*shared, *users, *([Path(own)] if own else [])]


def read_default_index() -> str:
    """Return the index that this Python's pip asks where it is told of none."""
    try:
        return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)
    except (ImportError, AttributeError) as error:
        raise LeftToPip(f"no index is named, and pip's own could not be read: {error}") from error


def choose_index(environment: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return the URL of the index, without a slash at its end."""
    if own := next((name for name in PIPS_OWN if settings.get(name)), None):
        raise LeftToPip(f"pip is told {own}")
    named = (environment[name] for name in INDEX_VARIABLES if environment.get(name))
    return (next(named, "") or settings.get("index-url") or read_default_index()).rstrip("/")


def list_names(version: str, machine: str, libc: tuple[str, str]) -> Iterator[re.Pattern[str]]:
    """Yield what a wheel's name may look like that runs on this machine."""
    name, has = libc
    if name != "glibc" or not re.fullmatch(r"\d+\.\d+", has):
        raise LeftToPip(f"the C library is {name or 'unknown'}")
    major, minor = (int(part) for part in has.split("."))
    for least in range(minor, 16, -1):
        tag = f"manylinux_{major}_{least}_{machine}"
        yield re.compile(rf"uv-{re.escape(version)}-py3-none-(?:\S+\.)?{tag}(?:\.\S+)?\.whl")


def find_wheel(page: str, base: str, version: str, names: Iterator[re.Pattern[str]]) -> tuple[str, str]:
    """Return the name and the URL of the wheel in an index's page of uv."""
    links = {}
    # Of this version only: to take six thousand addresses apart takes half a second.
    for link in re.findall(rf"""href=["']([^"']*uv-{re.escape(version)}-[^"']*)["']""", page):
        url, _ = urllib.parse.urldefrag(urllib.parse.urljoin(base, html.unescape(link)))
        links[urllib.parse.unquote(url.rpartition("/")[2])] = url
    for pattern in names:
        for name, url in links.items():
            if pattern.fullmatch(name):
                return name, url
    raise LeftToPip("the index has no wheel of that version for this machine")


def read_url(url: str, settings: Mapping[str, str]) -> tuple[bytes, str]:
    """Return what lies there and where it lay at last."""
    if not url.startswith(("https://", "http://")):
        raise LeftToPip(f"{url.partition(':')[0]} is no address of an index")
    if urllib.request.getproxies().keys() & {"http", "https", "all"}:
        raise LeftToPip("the environment names a proxy")
    context = ssl.create_default_context(cafile=settings.get("cert") or None)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    asked = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310  # looked at above
    with opener.open(asked, timeout=WITHIN_S) as reply:
        if len(body := reply.read(MOST_BYTES + 1)) > MOST_BYTES:
            raise LeftToPip(f"{url} has more than {MOST_BYTES} bytes")
        return body, reply.url


def fetch_uv(folder: Path, environment: Mapping[str, str]) -> None:
    """Leave the wheel and the program `uv` in a folder.

    Raises:
        LeftToPip, OSError, ValueError: it did not work, which says nothing of what pip can do.
    """
    version, digests = read_pinned(LOCK.read_text(encoding="utf-8"))
    settings = read_settings(environment, list_files(environment))
    names = list_names(version, platform.machine(), platform.libc_ver())
    page, base = read_url(f"{choose_index(environment, settings)}/uv/", settings)
    name, url = find_wheel(page.decode("utf-8", "replace"), base, version, names)
    wheel, _ = read_url(url, settings)
    if hashlib.sha256(wheel).hexdigest() not in digests:
        raise LeftToPip(f"{name} is not what the lock names")
    (folder / name).write_bytes(wheel)
    with zipfile.ZipFile(folder / name) as opened:
        (folder / "uv").write_bytes(opened.read(f"uv-{version}.data/scripts/uv"))
    (folder / "uv").chmod(MODE)


def main() -> None:
    try:
        fetch_uv(Path(sys.argv[1]), os.environ)
    except (LeftToPip, OSError, ValueError, KeyError, configparser.Error, zipfile.BadZipFile) as error:
        sys.exit(f"uv is left to pip: {error}")


if __name__ == "__main__":
    main()
