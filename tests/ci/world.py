"""A runners file for the tiny matrix of tests/matrix/world.py."""

from __future__ import annotations

from pathlib import Path

from ci.runners import Runner

RUNNERS = """
runners:
  cpu: {none: runs on a laptop}
  sm120x1: {labels: [gpu, x1], host: desk, launch_timeout_min: 10, models: /m}
  sm120x3: {labels: [gpu, x3], host: desk, launch_timeout_min: 20, models: /m}
  sm120x4: {labels: [gpu, x4], host: big, launch_timeout_min: 30, models: /m}
"""
RIGS = ("cpu", "sm120x1", "sm120x3", "sm120x4")
SERVED = {
    "cpu": Runner(none="runs on a laptop"),
    "sm120x1": Runner(labels=("gpu", "x1"), host="desk", launch_timeout_min=10, models="/m"),
    "sm120x3": Runner(labels=("gpu", "x3"), host="desk", launch_timeout_min=20, models="/m"),
    "sm120x4": Runner(labels=("gpu", "x4"), host="big", launch_timeout_min=30, models="/m"),
}


def write(folder: Path, text: str = RUNNERS) -> Path:
    path = folder / "runners.yaml"
    path.write_text(text.lstrip("\n"), encoding="utf-8")
    return path
