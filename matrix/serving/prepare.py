"""Sections before the launch: environment, weights, patch, and what the host must offer."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from typing import Final

from matrix.hardware import Gpu
from matrix.planning.plan import Plan
from matrix.preflight.patch import Patch, load_patch
from matrix.serving.container import download_draft
from matrix.serving.places import MODELS, ServingPlaces, write_default, write_required

COMMENT: Final = 116  # columns of a comment
CHECK: Final = """python3 - "$MODEL" {size} <<'PY'
import json, pathlib, sys

folder, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
index = folder / "model.safetensors.index.json"
listed = json.loads(index.read_text())["weight_map"].values() if index.is_file() else ()
found = [p.name for kind in ("*.safetensors", "*.gguf") for p in folder.glob(kind)]
names = sorted(set(listed or found))
lost = [n for n in names if not (folder / n).is_file()]
if lost or not names:
    sys.exit(f"{{folder}} is not whole, missing: {{lost[:5] or 'every weights file'}}")
size = sum((folder / n).stat().st_size for n in names)
if wanted and abs(size - wanted) > 0.05 * wanted:
    sys.exit(f"{{folder}} holds {{size / 1e9:.1f}} GB, {{wanted / 1e9:.1f}} GB expected: half downloaded?")
print(f"{{folder}}: {{len(names)}} files, {{size / 1e9:.1f}} GB")
PY"""
# nvidia-smi's topology and the kernel's command line are read, nothing is changed.
PCIE: Final = '''if [ -d /sys/kernel/iommu_groups ] && [ -n "$(ls -A /sys/kernel/iommu_groups)" ] \\
  && ! grep -Eq '(iommu=pt|iommu=off|iommu.passthrough=1)' /proc/cmdline; then
  warn "an IOMMU translates between GPUs on PCIe, and the first all-reduce may hang: boot with iommu=pt (nccl#1999)"
fi
nvidia-smi topo -p2p r >&2 || warn "peer-to-peer over PCIe cannot be read; without it set NCCL_P2P_DISABLE=1"'''


def write_comment(text: str) -> list[str]:
    """Lines of a bash comment."""
    return textwrap.wrap(text, COMMENT, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def set_up_environment(plan: Plan, places: ServingPlaces) -> Iterator[str]:
    """Make or find the release's own environment; sets VENV, or pulls the image."""
    release = plan.cell.release
    listed = plan.setting("launcher", "requirements")
    if listed is not None:
        yield from write_comment(listed.why)
    # the user's own environment is used as it is: nothing is installed into what somebody else maintains
    if named := places.venv_of(plan):
        yield write_default("VENV", named)
        yield '[ -x "$VENV/bin/python" ] || die "$VENV (environments: of matrix.local.yaml) has no interpreter"'
        return
    python = shlex.quote(str(plan.values("launcher").get("python") or "3.11"))
    yield write_default("VENV", f"~/.cache/glm-matrix/serve/{release.id}")
    yield f'LOCK=${{LOCK:-"$CHECKOUT"/requirements/engines/{shlex.quote(f"{release.id}.lock")}}}'
    yield f"""[ -f "$LOCK" ] || die "no $LOCK: set CHECKOUT, or glm-matrix venv lock" {shlex.quote(release.id)}
if ! cmp -s "$LOCK" "$VENV/installed-from.lock"; then
  UV="$CHECKOUT/.venv/bin/uv"
  [ -x "$UV" ] || UV=$(command -v uv || true)
  if [ -n "$UV" ]; then
    "$UV" venv --quiet --allow-existing --python {python} "$VENV"
    "$UV" pip install --quiet --python "$VENV/bin/python" --require-hashes -r "$LOCK"
  else
    command -v python{python} >/dev/null || die "needs uv, or Python with venv:" {python}
    python{python} -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --require-hashes -r "$LOCK"
  fi
  cp "$LOCK" "$VENV/installed-from.lock"
fi"""


def enter_checkout() -> Iterator[str]:
    """Use the environment of this project: the embedded engine is part of it."""
    yield 'VENV=${VENV:-"$CHECKOUT/.venv"}'
    yield '[ -x "$VENV/bin/python" ] || die "no $VENV/bin/python: run make env in $CHECKOUT"'
    yield 'LOG=${LOG:-"$PWD/serve.log"}\ncd -- "$CHECKOUT"'


def find_weights(plan: Plan, places: ServingPlaces) -> Iterator[str]:
    """Find or download the checkpoint and check that it is whole; sets MODEL."""
    checkpoint = plan.cell.checkpoint
    if checkpoint.weights_path:
        yield f'MODEL=${{MODEL:-"$CHECKOUT"/{shlex.quote(checkpoint.weights_path)}}}'
    # a canary's relative is made on first use and has no repository to come from
    elif checkpoint.made_by:
        yield f'MODEL=${{MODEL:-$("$GLM_MATRIX" canary make {shlex.quote(checkpoint.made_by)})}}'
    elif named := places.model_of(plan):
        yield write_default("MODEL", named)
    else:
        yield from _below_a_root(checkpoint.id, places)
    yield from _download(plan)
    # after the download: a directory that was interrupted has a config.json and looks finished
    yield CHECK.format(size=checkpoint.size_bytes or 0)
    yield from _download_draft(plan)


def _below_a_root(name: str, places: ServingPlaces) -> Iterator[str]:
    """Find the model's folder below the first folder of weights; the script ends if no such folder is known."""
    message = "set it to the folder for weights, or MODEL to the directory of the checkpoint"
    root = write_default(MODELS, places.root) if places.root else write_required(MODELS, message)
    yield f'if [ -z "${{MODEL:-}}" ]; then\n  {root}\n  MODEL="${{{MODELS}%%:*}}"/{shlex.quote(name)}\nfi'


def _download(plan: Plan) -> Iterator[str]:
    checkpoint = plan.cell.checkpoint
    # they are part of the checkout, or were made above
    if checkpoint.weights_path or checkpoint.made_by:
        return
    if not checkpoint.repository:
        yield '[ -f "$MODEL/config.json" ] || die "no public repository is known: put the checkpoint at $MODEL"'
        return
    revision = f" --revision {shlex.quote(checkpoint.revision)}" if checkpoint.revision else ""
    # config.json alone decides: a folder of links or of a half download must not be written into
    lines = ['if [ ! -f "$MODEL/config.json" ]; then', '  mkdir -p -- "$MODEL"']
    if checkpoint.size_bytes:
        lines += [
            '  free=$(df --output=avail -B1 -- "$MODEL" | tail -n 1)',
            f'  [ "$free" -gt {checkpoint.size_bytes} ] || die "{checkpoint.size_bytes / 1e9:.0f} GB are needed at'
            ' $MODEL, $free bytes are free"',
        ]
    lines += [
        '  HF="${VENV:-/nowhere}/bin/hf"',
        '  [ -x "$HF" ] || HF=$(command -v hf) || die "hf is missing: pip install huggingface_hub"',
        f'  "$HF" download {shlex.quote(checkpoint.repository)}{revision} --local-dir "$MODEL"',
        "fi",
    ]
    yield "\n".join(lines)


def _download_draft(plan: Plan) -> Iterator[str]:
    """Put the draft into the hub's cache, where the engine finds it by its name, offline, too."""
    if plan.settings.get("draft"):
        yield f"""HF="${{VENV:-/nowhere}}/bin/hf"
[ -x "$HF" ] || HF=$(command -v hf) || die "hf is missing: pip install huggingface_hub"
"$HF" {download_draft(plan)} >/dev/null"""


def apply_patches(plan: Plan) -> Iterator[str]:
    """Apply each patch to a linked copy, verify digest and effect, and put it in front of the installed files."""
    if not plan.patches:
        yield "# This launch needs no patch."
        return
    # asked of the engine's own Python: its site-packages depend on its version and on who made the environment
    yield 'SITE=$("$VENV/bin/python" -c \'import sysconfig; print(sysconfig.get_path("purelib"))\')'
    for setting in plan.patches:
        yield from write_comment(f"{setting.key}: {setting.why}")
        yield from _apply_patch(load_patch(setting.key))


def _apply_patch(patch: Patch) -> Iterator[str]:
    patch_id = shlex.quote(patch.id)
    if patch.target is None:
        yield f'die "this patch changes a checkpoint, not a package:" {patch_id}'
        return
    # digest and import are both asked: a patched tree behind the installed package would change nothing, silently
    target, file = patch.target, shlex.quote(patch.target.file)
    yield f"""PATCHED="$VENV".patched/{patch_id}
"$GLM_MATRIX" patch {patch_id} --source "$SITE" --check >&2
"$GLM_MATRIX" patch {patch_id} --source "$SITE" --out "$PATCHED" --tree >/dev/null
printf '%s  %s\\n' {shlex.quote(target.sha256_after)} "$PATCHED"/{file} | sha256sum --check --quiet
export PYTHONPATH="$PATCHED${{PYTHONPATH:+:$PYTHONPATH}}"
"$VENV/bin/python" - {shlex.quote(target.package)} "$PATCHED" <<'PY'
import sys
from importlib.machinery import PathFinder

found = PathFinder.find_spec(sys.argv[1])
if found is None or not str(found.origin).startswith(sys.argv[2]):
    sys.exit(f"{{sys.argv[1]}} would be imported from {{found and found.origin}}, not from {{sys.argv[2]}}")
PY"""


def check_host(plan: Plan, *, container: bool) -> Iterator[str]:
    """Check what the rig wants of the machine; a warning says what to do, and nothing is changed."""
    rig = plan.cell.rig
    if not rig.gpus:
        yield "# A CPU is enough."
        return
    yield f"""command -v nvidia-smi >/dev/null || die "no NVIDIA driver: nvidia-smi is missing"
nvidia-smi --query-gpu=index,name,memory.total,driver_version --format=csv,noheader >&2
COUNT=$(nvidia-smi --list-gpus | wc -l)
[ "$COUNT" -ge {rig.gpus} ] || die "$COUNT GPUs found; needed:" {shlex.quote(f"{rig.gpus} x {rig.gpu.name}")}"""
    # what follows is about ranks that talk to each other: one GPU needs none of it
    if rig.gpus > 1:
        yield from _for_several(rig.gpu, container=container)
    if container:
        yield (
            "docker info --format '{{json .Runtimes}} {{json .CDISpecDirs}}' 2>/dev/null | grep -Eq 'nvidia|cdi' \\\n"
            '  || warn "Docker has no GPU runtime: install nvidia-container-toolkit, then'
            ' sudo nvidia-ctk runtime configure --runtime=docker"'
        )


def _for_several(gpu: Gpu, *, container: bool) -> Iterator[str]:
    if not container:
        yield (
            '[ "$(ulimit -l)" = unlimited ] || ulimit -l unlimited 2>/dev/null \\\n'
            '  || warn "NCCL pins memory: set memlock to unlimited in /etc/security/limits.conf (now $(ulimit -l) KiB)"'
        )
        yield (
            "SHM=$(df --output=avail -B1M /dev/shm | tail -n 1)\n"
            '[ "$SHM" -ge 1024 ] || warn "/dev/shm has $SHM MiB free; NCCL and the ranks share memory there"'
        )
    # NVLink does not pass the IOMMU
    if gpu.interconnect == "pcie":
        yield PCIE
