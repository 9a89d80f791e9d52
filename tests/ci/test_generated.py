from __future__ import annotations

from pathlib import Path

from ci import generated


def test_check_fails_for_a_file_that_was_edited_or_is_absent_and_writes_nothing(tmp_path: Path) -> None:
    wanted = {Path("a/b.yml"): "one\n", Path("c.yml"): "two\n"}
    assert generated.write_or_report("m", tmp_path, wanted, check=True) == 1
    assert list(tmp_path.iterdir()) == []
    assert generated.write_or_report("m", tmp_path, wanted, check=False) == 0
    assert generated.write_or_report("m", tmp_path, wanted, check=True) == 0
    (tmp_path / "c.yml").write_text("edited\n", encoding="utf-8")
    assert generated.find_stale(tmp_path, wanted) == [Path("c.yml")]
