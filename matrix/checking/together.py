"""Engines of one text that run at the same time: GPUs and ports that two take, rows that two exchange."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.judge import Examined
from matrix.checking.launchers import Command
from matrix.checking.reach import PORTS
from matrix.checking.rigs import Host
from matrix.checking.settings import UNKNOWN

# What a release takes of each GPU where the line does not say: vLLM's default is 0.9 or more, and what SGLang and
# TensorRT-LLM choose by themselves is above one half, too; so two of them are too many for certain.
SHARE: Final = 0.8


def judge_together(examined: Sequence[Examined], host: Host | None) -> dict[int, list[CheckFinding]]:
    """Return what is wrong with the engines as a whole: index of the command that comes later -> findings."""
    found: defaultdict[int, list[CheckFinding]] = defaultdict(list)
    for first, second in _list_pairs([one.command for one in examined]):
        found[second] += _judge_pair(examined[first], examined[second], host)
    prefills = [i for i, one in enumerate(examined) if one.facts.get("pd_mode") == "prefill"]
    decodes = [i for i, one in enumerate(examined) if one.facts.get("pd_mode") == "decode"]
    for pair in product(prefills, decodes):
        found[max(pair)] += _judge_transfer(*(examined[i] for i in pair))
    return found


def _list_pairs(commands: Sequence[Command]) -> Iterator[tuple[int, int]]:
    """Yield the commands that run at the same time on one host: services of a file, `&`, and the next after `&`."""
    services = [i for i, c in enumerate(commands) if c.beside == "services"]
    yield from ((a, b) for n, a in enumerate(services) for b in services[n + 1 :])
    shell = [i for i, c in enumerate(commands) if c.beside != "services"]
    for at, later in enumerate(shell):
        for earlier in shell[:at]:
            # one that is not in the background ends before whatever stands behind it begins
            between = [i for i in shell if earlier <= i < later]
            if all(commands[i].beside for i in between) and commands[earlier].host == commands[later].host:
                yield earlier, later


def _judge_pair(first: Examined, second: Examined, host: Host | None) -> Iterator[CheckFinding]:
    line, where = second.command.line, first.command.where
    both = sorted(set(_list_gpus(second, host)) & set(_list_gpus(first, host)))
    shares = [_read_share(one) for one in (first, second)]
    if both and sum(shares) > 1:
        shown = ", ".join(map(str, both))
        subject = second.command.entry
        yield make_finding("gpus_taken_twice", {"gpus": shown, "other": where}, subject, line=line)
    for port in sorted(set(_list_ports(first)) & set(_list_ports(second))):
        subject = f"--port {port}" if second.facts.get("port") is not None else second.command.entry
        yield make_finding("port_taken_twice", {"port": str(port), "other": where}, subject, line=line)


def _list_gpus(one: Examined, host: Host | None) -> list[int]:
    """Return the GPUs that the ranks take, as the host counts them; none where that is not known."""
    ranks, base, step = (one.facts.get(name) for name in ("host_ranks", "base_gpu", "gpu_step"))
    if host is None or not isinstance(ranks, int) or not isinstance(base, int) or not isinstance(step, int):
        return []
    seen = read_devices(one.command)
    if seen is None:
        return []
    devices = seen or list(range(host.gpus))
    return [devices[base + step * rank] for rank in range(ranks) if 0 <= base + step * rank < len(devices)]


def read_devices(command: Command) -> list[int] | None:
    """Return the GPUs that the text gives by number; empty: all of them; None: not known, or a scheduler gives them."""
    listed = command.env.get("CUDA_VISIBLE_DEVICES")
    given = command.gpus.removeprefix("device=").strip("\"'")
    text = listed.text if listed is not None else given if command.gpus.startswith("device=") else ""
    if (listed is not None and not listed.known) or "$" in given or (listed is not None and command.gpus):
        return None  # a variable inside a container counts the container's own
    if text:
        numbers = [part.strip() for part in text.split(",")]
        return [int(number) for number in numbers] if all(number.isdigit() for number in numbers) else None
    if command.gpus in ("", "all", "-1"):
        return []
    # a count: docker takes the first ones, a job's scheduler others for each step
    return list(range(int(given))) if given.isdigit() and command.image is not None else None


def _read_share(one: Examined) -> float:
    share = one.facts.get("memory_share")
    return float(share) if isinstance(share, (int, float)) else 0.0 if share is UNKNOWN else SHARE


def _list_ports(one: Examined) -> list[int]:
    """Return the ports of the host that the engine takes: its own without a container, else the published ones."""
    command = one.command
    if command.image is not None:
        published = next((c.facts.get("hosts", "") for c in command.circumstances if c.id == "container_network"), "")
        return [int(port) for port in published.split(", ") if port.isdigit()]
    # a worker of another host's engine serves nothing
    if one.facts.get("headless") is True or command.engine not in PORTS:
        return []
    port = one.facts.get("port")
    return [PORTS[command.engine] if port is None else port] if port is None or isinstance(port, int) else []


def _judge_transfer(prefill: Examined, decode: Examined) -> Iterator[CheckFinding]:
    """Compare what a decode server receives with what its prefill server sends."""
    sent, received = prefill.facts.get("kv"), decode.facts.get("kv")
    known = isinstance(sent, str) and isinstance(received, str)
    if known and sent != received and {prefill.command.engine, decode.command.engine} == {"sglang"}:
        more = {"sent": sent, "received": received, "prefill": prefill.command.where}
        subject = decode.settings.written("kv_given")
        yield make_finding("transferred_rows_differ", more, subject, line=decode.command.line)
