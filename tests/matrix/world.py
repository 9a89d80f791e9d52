"""A tiny matrix on disk, for tests that must not depend on the real axes. Edit the text, load, look."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "axes/hardware/cpu.yaml": """
id: cpu
name: any CPU
sm: 0
vram_bytes: 0
memory_bandwidth_bytes_per_s: 20_000_000_000
interconnect: none
rigs: {cpu: 0}
source: test
""",
    "axes/hardware/big.yaml": """
id: big
name: Big GPU
sm: 120
vram_bytes: 100_000_000_000
memory_bandwidth_bytes_per_s: 1_000_000_000_000
interconnect: pcie
rigs: {sm120x1: 1, sm120x3: 3, sm120x4: 4}
nvml_names: [Big]
source: test
""",
    "axes/engines/toy/engine.yaml": """
id: toy
title: Toy engine
dialect: llamacpp
command: [toy, serve]
source: test
""",
    "axes/engines/toy/toy_1.yaml": """
id: toy_1
version: "1.0"
source: test
architectures: [Glm]
features: {mtp: true, indexcache: true}
formats: {bf16: [0, 120], fp8: [90]}
""",
    "axes/engines/toy/toy_2.yaml": """
id: toy_2
version: "2.0.post1"
source: test
architectures: [Glm]
features: {mtp: true, indexcache: false}
formats: {bf16: [0, 120]}
""",
    "axes/families/canary.yaml": """
id: canary
title: Canaries
checkpoints: {architecture: Glm}
source: test
""",
    "axes/checkpoints/small.yaml": """
id: small
title: Small
family: canary
format: bf16
architecture: Glm
size_bytes: 1000
experts: 16
experts_per_token: 4
layers: 4
dense_layers: 1
heads: 8
hidden_size: 256
context: 65536
index_topk: 256
index_topk_pattern: FFSS
mtp_layer: true
quantisation: {method: none}
source: test
""",
    "axes/features/mtp.yaml": """
id: mtp
title: MTP
means: drafts
proof: acceptance length
source: test
""",
    "axes/features/indexcache.yaml": """
id: indexcache
title: IndexCache
means: shared indexers
proof: output beyond index_topk
source: test
""",
    "recipes/toy.yaml": """
overlays:
  - id: base
    when: {engine: toy}
    args: {--model: "{model}", --port: "{port}", --page-size: 128}
    env: {TOY: "1"}
    why: it needs a model
    source: test
  - id: mtp
    when: {engine: toy, features: [mtp]}
    args: {--page-size: 64, --draft: true}
    why: drafting needs pages of 64
    source: test
  - id: correction
    when: {engine: toy, features: [mtp], form: recommended}
    args: {--page-size: 32}
    why: measured better
    source: test
""",
    "rules.yaml": """
rules:
  - id: no_mtp_on_cpu
    when: {rig: cpu, features: [mtp]}
    status: INVALID_COMBO
    reason: the toy drafts only on GPUs
    source: {kind: run, where: test, release: toy==2.0.post1, sm: [0]}
""",
    "published.yaml": """
published: []
""",
    "causes.yaml": """
causes: []
""",
    "known_failures.yaml": r"""
known_failures:
  - id: T1
    when: {release: toy_2, features: [mtp]}
    fails:
      at: test
      test: test_finds_the_needle_beyond_index_topk
      how: wrong_answer
      signature: 'needle\.found: NOT OK'
    expect: always
    symptom: loses the needle
    issue: https://example.org/1
    source: {kind: report, release: toy==2.0.post1}
    owner: somebody
    added: 2026-01-01
    review_by: 2027-01-01
""",
}


def write(root: Path, changes: dict[str, str | None] | None = None) -> Path:
    """Write the world below `root`; `changes` replaces or (None) leaves out files."""
    for name, text in {**FILES, **(changes or {})}.items():
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"), encoding="utf-8")
    return root
