"""GPU code is read from fat binary headers: on invented libraries byte by byte, and on a real wheel."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.snapshot.__main__ import main
from lab.snapshot.fatbin import CompiledCode, NotReadable, list_codes
from lab.snapshot.kernels import kernels_of
from matrix.errors import HostError
from matrix.fat_binaries import Library
from matrix.preflight.kernels import KERNELS, format_wheel, parse_wheel
from tests.lab.snapshot.wheels import cached_wheel

PTX, SASS = 1, 2
FLAGS = {"": 0x8011, "a": 0x108011, "f": 0x1208011}  # as in vllm 0.26.0, compressed


def entry(
    kind: int, sm: int, suffix: str = "", payload: bytes = b"\x7fELF-or-zstd " * 2, header_bytes: int = 64
) -> bytes:
    head = bytearray(header_bytes)
    struct.pack_into("<HHIQ", head, 0, kind, 0x101, header_bytes, len(payload))
    struct.pack_into("<I", head, 28, sm)
    struct.pack_into("<Q", head, 40, FLAGS[suffix])
    return bytes(head) + payload


def fatbin(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def elf(*sections: tuple[str, bytes]) -> bytes:
    """Return a 64-bit ELF file of nothing but these sections, their names and the table."""
    names, content, headers = b"\0", bytearray(64), [(0, 0, 0)]
    for name, data in (*sections, (".shstrtab", b"")):
        at = len(names)
        names += name.encode() + b"\0"
        whole = data or names
        headers.append((at, len(content), len(whole)))
        content += whole + bytes(-len(whole) % 8)
    table = b"".join(struct.pack("<IIQQQQIIQQ", n, 1, 0, 0, o, s, 0, 0, 8, 0) for n, o, s in headers)
    struct.pack_into("<6s", content, 0, b"\x7fELF\x02\x01")
    struct.pack_into("<Q", content, 40, len(content))
    struct.pack_into("<HHH", content, 58, 64, len(headers), len(headers) - 1)
    return bytes(content) + table


TWO = fatbin(entry(SASS, 90, "a"), entry(SASS, 100, "f", header_bytes=112)) + bytes(24) + fatbin(entry(PTX, 80))


def test_every_entry_of_every_fat_binary_is_read_with_its_suffix() -> None:
    library = elf((".text", b"x" * 9), (".nv_fatbin", TWO), ("__nv_relfatbin", fatbin(entry(SASS, 120))))
    assert list(list_codes(library)) == [
        CompiledCode("sass", 90, "a"),
        CompiledCode("sass", 100, "f"),
        CompiledCode("ptx", 80, ""),
        CompiledCode("sass", 120, ""),
    ]
    assert [c.name for c in list_codes(library)] == ["sm_90a", "sm_100f", "sm_80", "sm_120"]


def test_a_library_without_cuda_code_has_none() -> None:
    assert list(list_codes(elf((".text", b"xyz")))) == []
    assert list(list_codes(elf((".nv_fatbin.note", TWO), (".nvFatBinSegment", TWO)))) == []


@pytest.mark.parametrize(
    ("library", "says"),
    [
        (b"not an ELF file at all", "not a 64-bit ELF file"),
        (b"\x7fELF\x01\x01" + bytes(60), "not a 64-bit ELF file"),
        (elf((".nv_fatbin", TWO))[:-1], "section table"),
        (elf((".nv_fatbin", TWO[:40])), "longer than its section"),
        (elf((".nv_fatbin", fatbin(entry(7, 90)))), "kind 7"),
        (elf((".nv_fatbin", fatbin(entry(SASS, 90)[:-1]))), "kind 2"),
    ],
)
def test_another_layout_is_an_error_and_never_no_kernels(library: bytes, says: str) -> None:
    with pytest.raises(NotReadable, match=says):
        list(list_codes(library))


ARCHITECTURES = st.tuples(st.sampled_from([PTX, SASS]), st.integers(50, 130), st.sampled_from(sorted(FLAGS)))


@given(st.lists(st.tuples(ARCHITECTURES, st.binary(max_size=40)), max_size=6), st.sampled_from([64, 112, 120]))
def test_payloads_and_header_sizes_do_not_matter(found: list[tuple[tuple[int, int, str], bytes]], header: int) -> None:
    entries = [entry(*architecture, payload=payload, header_bytes=header) for architecture, payload in found]
    got = [(c.kind, c.sm, c.suffix) for c in list_codes(elf((".nv_fatbin", fatbin(*entries))))]
    assert got == [({PTX: "ptx", SASS: "sass"}[k], sm, s) for (k, sm, s), _ in found]


def wheel(folder: Path, **members: bytes) -> Path:
    path = folder / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"toy/{name}"), content)
    return path


def test_a_wheel_lists_its_libraries_with_cuda_code(tmp_path: Path) -> None:
    members = {"b.so": elf((".nv_fatbin", TWO)), "plain.abi3.so": elf((".text", b"x")), "x.py": b"print()"}
    found = kernels_of(wheel(tmp_path, **members))
    assert found.libraries == {"toy/b.so": Library(sass=("sm_90a", "sm_100f"), ptx=("sm_80",))}
    assert parse_wheel(format_wheel(found)) == found


def test_the_command_writes_the_same_bytes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = wheel(tmp_path, **{"b.so": elf((".nv_fatbin", TWO))})
    outs = [tmp_path / "1.json", tmp_path / "2.json"]
    for out in outs:
        assert main(["--kernels", "toy==1", "--wheel", str(made), "--out", str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert "toy/b.so: SASS for sm_90a, sm_100f and PTX for sm_80" in capsys.readouterr().out


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"toy/b\.so: not a 64-bit ELF file; teach"):
        kernels_of(wheel(tmp_path, **{"b.so": b"text"}))
    (tmp_path / "x.whl").write_bytes(b"text")
    with pytest.raises(HostError, match="not a zip file"):
        kernels_of(tmp_path / "x.whl")


@pytest.mark.network
def test_a_committed_file_is_what_its_wheel_says() -> None:
    """The smallest of the pinned ones (10 MB). The others: `glm-matrix snapshot --kernels vllm==0.26.0`."""
    found = kernels_of(cached_wheel("sgl-flash-mla==1.0.0"))
    assert format_wheel(found) == (KERNELS / "sgl_flash_mla_1_0_0.json").read_text(encoding="utf-8")


def test_sources_are_listed_by_the_gpu_that_a_folder_or_a_file_is_named_for(tmp_path: Path) -> None:
    names = (
        "flashinfer/data/csrc/sparse_mla_sm120_prefill.cu",
        "flashinfer/data/include/attention/sparse_mla_sm120/arch/decode.cuh",  # the folder is what is named for it
        "flashinfer/data/csrc/kernels/sm_120a/mla_dsv4.cu",  # a folder of nothing but the GPU: the file is
        "deep_gemm/include/deep_gemm/impls/sm90_fp8_paged_mqa_logits.cuh",
        "deep_gemm/include/cutlass/gemm/sm120_builder.cuh",  # carried along
        "flashinfer/data/csrc/batch_size128_sm100_has_sink0_has_window0_num_kv_heads4_num_q_heads32.cu",  # generated
        "flashinfer/data/csrc/cake_sm100_0123456789abcdef_kernel.cu",
        "flashinfer/data/include/mma_sm100.hpp",
        "flashinfer/data/cccl/algorithm.sort_heap.h",  # no library, though it has `.so` in its name
    )
    path = tmp_path / "flashinfer_python-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    found = kernels_of(path)
    assert found.libraries == {}
    assert found.sources == {
        "sm120": ("mla_dsv4", "sparse_mla_sm120", "sparse_mla_sm120_prefill"),
        "sm90": ("sm90_fp8_paged_mqa_logits",),
    }
    assert parse_wheel(format_wheel(found)) == found


def test_ready_machine_code_is_counted_by_gpu(tmp_path: Path) -> None:
    path = tmp_path / "flashinfer_cubin-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a_sm100f.cubin", "b_Sm100f.cubin", "c_sm103a.cubin", "d_sm103a.txt"):
            archive.writestr(f"cubins/{name}", b"")
    found = kernels_of(path)
    assert found.cubins == {"sm100f": 2, "sm103a": 1}
    assert parse_wheel(format_wheel(found)) == found
