"""What a partner is sent: a delivery, and a folder as it is seen."""

from __future__ import annotations

from pathlib import Path

REMOTE = "diversion_status/000001_2026-11-20"


def package(folder: Path, content: bytes) -> Path:
    """Three files, one of them in a folder of its own and longer than one request."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "part-0.csv").write_bytes(content * 200_000)
    (folder / "README.txt").write_bytes(b"")
    (folder / "manifest.json").write_bytes(b'{"content": "' + content + b'"}')
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
