"""What a compose service or a Kubernetes container says around its command: GPUs, memory, ports, mounts, probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from matrix.checking.containers import SHARED_MEMORY, note_memory, note_mounts, note_network, read_target
from matrix.checking.launchers import Circumstance
from matrix.checking.yaml_nodes import Node, get_node, iterate_items, line_of, read_scalar, read_sequence, walk_nodes

TEXT: Final = "tag:yaml.org,2002:str"
GPUS: Final = "nvidia.com/gpu"
LIMITS: Final = ("resources", "limits", "memory")
PERIOD_S, FAILURES = 10, 3  # Kubernetes' defaults of a probe


def note_service(service: Node, line: int) -> Iterator[Circumstance]:
    """Note what a compose service lacks and gives. What it extends or merges stands elsewhere, and nothing is noted."""
    keys = {key for key, _ in iterate_items(service)}
    if keys & {"extends", "<<"}:
        return
    yield from _note_numbers(service, "compose", "an array of strings", "entrypoint", "command")
    runtime = read_scalar(get_node(service, "runtime")) or ""
    handed = keys & {"gpus", "devices"} or get_node(service, "deploy", "resources", "reservations", "devices")
    if not handed and "nvidia" not in runtime and "$" not in runtime:
        yield Circumstance(id="container_without_gpus", subject="services", line=line)
    mounts = _list_texts(service, "volumes", "tmpfs")
    if not keys & {"ipc", "shm_size"} and not any(SHARED_MEMORY in text or "$" in text for text in mounts):
        yield Circumstance(id="container_with_little_shared_memory", subject="services", line=line)
    published = [
        read_scalar(port) or read_scalar(get_node(port, "target")) or ""
        for port in read_sequence(get_node(service, "ports"))
    ]
    yield from note_network(published, read_scalar(get_node(service, "network_mode")) or "", "ports", line)
    targets = [
        read_target(text) if (text := read_scalar(volume)) else read_scalar(get_node(volume, "target")) or ""
        for key in ("volumes", "tmpfs")
        for volume in read_sequence(get_node(service, key))
    ]
    yield from note_mounts(targets, "volumes", line)
    limit = read_scalar(get_node(service, "mem_limit")) or _read_limit(
        service, "deploy", "resources", "limits", "memory"
    )
    yield from note_memory(limit, "memory", line)


def note_pod(container: Node, pod: Node, line: int) -> Iterator[Circumstance]:
    """Note what a container of Kubernetes says; its GPUs and runtime are the cluster's business."""
    yield from _note_numbers(container, "Kubernetes", "Container.args of type string", "command", "args")
    yield from _note_unlimited(container)
    targets = [read_scalar(get_node(m, "mountPath")) or "" for m in read_sequence(get_node(container, "volumeMounts"))]
    if SHARED_MEMORY not in targets and read_scalar(get_node(pod, "hostIPC")) != "true":
        yield Circumstance(id="container_with_little_shared_memory", subject="volumeMounts", line=line)
    yield from note_mounts(targets, "volumeMounts", line)
    yield from note_memory(_read_limit(container, *LIMITS), "memory", line)
    ports = [read_scalar(get_node(p, "containerPort")) or "" for p in read_sequence(get_node(container, "ports"))]
    network = "host" if read_scalar(get_node(pod, "hostNetwork")) == "true" else ""
    yield from note_network([port for port in ports if port], network, "ports", line)
    for entry in read_sequence(get_node(container, "env")):
        value = get_node(entry, "value")
        if value is not None and read_scalar(value) is not None and value.tag != TEXT:
            facts = {"name": read_scalar(get_node(entry, "name")) or "?", "value": read_scalar(value) or ""}
            yield Circumstance(id="value_is_no_text", subject=facts["name"], line=line_of(value), facts=facts)
    yield from _note_probe(container)


def _note_numbers(node: Node, program: str, what: str, *keys: str) -> Iterator[Circumstance]:
    """Note the words of a list that are no text to YAML: `args: [--tensor-parallel-size, 8]`."""
    for key in keys:
        for child in read_sequence(get_node(node, key)):
            text = read_scalar(child)
            if text is not None and child.tag != TEXT:
                facts = {"value": text, "list": key, "program": program, "what": what}
                yield Circumstance(id="word_is_no_text", subject=text, line=line_of(child), facts=facts)
                return


def _note_unlimited(container: Node) -> Iterator[Circumstance]:
    """Note GPUs that a container requests and that its limits do not give it, or give another number of."""
    wanted = get_node(container, "resources", "requests", GPUS)
    limit = read_scalar(get_node(container, "resources", "limits", GPUS))
    if wanted is not None and read_scalar(wanted) != limit and "{" not in f"{read_scalar(wanted)}{limit}":
        facts = {"wanted": read_scalar(wanted) or "", "limit": limit or "none"}
        yield Circumstance(id="gpus_without_a_limit", subject="resources", line=line_of(wanted), facts=facts)


def _note_probe(container: Node) -> Iterator[Circumstance]:
    """Note how long the kubelet lets the container load: its startup probe's time, else its liveness probe's."""
    for name in ("startupProbe", "livenessProbe"):
        probe = get_node(container, name)
        if probe is not None:
            period, failures = (
                _read_count(probe, "periodSeconds", PERIOD_S),
                _read_count(probe, "failureThreshold", FAILURES),
            )
            seconds = _read_count(probe, "initialDelaySeconds", 0) + period * failures
            yield Circumstance(
                id="time_to_load", subject=name, line=line_of(probe), facts={"probe": name, "seconds": str(seconds)}
            )
            return


def _read_count(probe: Node, key: str, default: int) -> int:
    text = read_scalar(get_node(probe, key)) or ""
    return int(text) if text.isdigit() else default


def _read_limit(node: Node, *path: str) -> str:
    return read_scalar(get_node(node, *path)) or ""


def _list_texts(node: Node, *keys: str) -> list[str]:
    blocks = [block for key in keys if (block := get_node(node, key)) is not None]
    return [text for block in blocks for each in walk_nodes(block) if (text := read_scalar(each)) is not None]
