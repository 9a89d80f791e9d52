"""Whether anything reaches a server in its container, whether it sees its weights, and has the time to load them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from matrix.checking.containers import entry_point_of
from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.launchers import Circumstance, Command
from matrix.checking.releases import OFFICIAL, AskedRelease
from matrix.planning.kv import GIB

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Where a release binds if nothing is said: SGLang's `host` and TensorRT-LLM's --host; vLLM's None is every address.
HOSTS: Final[Mapping[str, str]] = {"sglang": "127.0.0.1", "trtllm": "localhost", "vllm": "", "llamacpp": ""}
PORTS: Final[Mapping[str, int]] = {"sglang": 30000, "trtllm": 8000, "vllm": 8000, "llamacpp": 8080}
# Seconds from the start to the first token of a canary of 60 MB on an H200 with cold kernels (docs/evidence/sm90-h200).
COLD_START_S: Final[Mapping[str, int]] = {"vllm": 102, "sglang": 205}
DISK_BYTES_PER_S: Final = 7 * 10**9  # one NVMe drive of PCIe 4.0 at its best


def judge_network(noted: Circumstance, command: Command, release: AskedRelease) -> Iterator[CheckFinding]:
    """Compare the ports that a container publishes with where its server listens."""
    engine = command.engine
    if engine not in PORTS or (engine == "llamacpp" and entry_point_of(command.image.text if command.image else "")):
        return  # the images of llama.cpp bind every address by a variable of their own
    host, port = _read_option(command, "--host"), _read_option(command, "--port")
    if host is None or port is None:
        return
    bound = host or HOSTS[engine]
    listens = int(port) if port.isdigit() else PORTS[engine]
    published = noted.facts["ports"]
    if bound in LOOPBACK:
        facts = {"host": bound, "ports": published, "by": "the line" if host else f"the default of {release.name}"}
        yield make_finding("bound_to_loopback", facts, f"--host {host}".strip(), line=noted.line)
    elif (not port or port.isdigit()) and str(listens) not in published.split(", "):
        facts = {
            "ports": published,
            "port": str(listens),
            "by": "the line" if port else f"the default of {release.name}",
        }
        yield make_finding("port_not_published", facts, f"--port {port}".strip(), line=noted.line)


def judge_mounts(noted: Circumstance, command: Command, facts: Mapping[str, Any]) -> Iterator[CheckFinding]:
    """Compare the path of the weights with the folders that the container is given."""
    image = command.image.text if command.image is not None else ""
    path = facts.get("model")
    # an image of somebody's own may hold weights
    if image.split("@")[0].rpartition(":")[0].removeprefix("docker.io/") not in OFFICIAL:
        return
    if not isinstance(path, str) or not path.startswith("/"):
        return
    targets = [target for target in noted.facts["targets"].split("\n") if target]
    if not any(PurePosixPath(path).is_relative_to(target) for target in targets):
        shown = ", ".join(targets) or "none"
        yield make_finding("path_outside_the_mounts", {"path": path, "targets": shown}, path, line=noted.line)


def judge_time(noted: Circumstance, engine: str, size_bytes: int) -> Iterator[CheckFinding]:
    """Compare the time that a probe gives with a cold start and a read of the weights at a drive's best speed."""
    cold = COLD_START_S.get(engine)
    if cold is None or not size_bytes:
        return
    need, given = cold + size_bytes // DISK_BYTES_PER_S, int(noted.facts["seconds"])
    if given < need:
        more = {"need": f"{need:,}", "size_gib": f"{size_bytes / GIB:,.0f}", "cold": f"{cold:,}"}
        yield make_finding("killed_while_it_loads", {**noted.facts, **more}, noted.subject, line=noted.line)


def _read_option(command: Command, name: str) -> str | None:
    """Return what the line gives an option, "" where it gives nothing; None where it holds an unset variable."""
    value = ""
    for index, word in enumerate(command.argv):
        if word.text == name and index + 1 < len(command.argv):
            value = command.argv[index + 1].text
        elif word.text.startswith(f"{name}="):
            value = word.text.partition("=")[2]
        else:
            continue
        if "$" in value:
            return None
    return value
