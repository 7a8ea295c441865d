"""Clouds and files of clouds that tests make themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqcli.io.point_cloud import PointCloud

TRIANGLES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
"""Faces of a tetrahedron with its corners at the origin and on the axes, anticlockwise seen from outside."""
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])


def full_cloud(count: int = 60, seed: int = 0) -> PointCloud:
    """A cloud with everything; positions are numbers of float32, which every format holds."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(count, 3))
    return PointCloud(
        rng.normal(size=(count, 3)).astype(np.float32),
        normals / np.linalg.norm(normals, axis=1, keepdims=True),
        rng.integers(0, 256, (count, 3)),
        rng.random(count).astype(np.float32),
        rng.random(count),
        {"label": rng.integers(0, 9, count).astype(np.int32), "height": rng.random(count)},
        units="mm",
        viewpoint=np.array([1, 2, 3, 0.5, 0.5, 0.5, 0.5]),
    )


def plain_cloud(count: int = 60, seed: int = 0) -> PointCloud:
    """Points alone."""
    return PointCloud(np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ply(order: str, cloud: PointCloud, kind: str = "float") -> bytes:
    """Points as PLY in ascii or binary of a byte order."""
    head = f"ply\nformat {order} 1.0\nelement vertex {len(cloud)}\n"
    head += "".join(f"property {kind} {axis}\n" for axis in "xyz") + "end_header\n"
    if order == "ascii":
        return (head + "".join(" ".join(repr(float(v)) for v in p) + "\n" for p in cloud.points)).encode()
    sign = "<" if "little" in order else ">"
    return head.encode() + cloud.points.astype(sign + ("f4" if kind == "float" else "f8")).tobytes()


def pcd(data: str, rows: bytes | str, count: int, fields: str = "x y z", **lines: str) -> bytes:
    """A PCD file with these bytes of points."""
    names = fields.split()
    head = {
        "VERSION": "0.7",
        "FIELDS": fields,
        "SIZE": " ".join("4" for _ in names),
        "TYPE": " ".join("F" for _ in names),
        "COUNT": " ".join("1" for _ in names),
        "WIDTH": str(count),
        "HEIGHT": "1",
        "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": str(count),
    } | lines
    text = "# .PCD v0.7\n" + "".join(f"{key} {value}\n" for key, value in head.items()) + f"DATA {data}\n"
    return text.encode() + (rows.encode() if isinstance(rows, str) else rows)


def compress(data: bytes) -> bytes:
    """LZF, slow and obvious: the longest earlier repetition where there is one of three bytes or more."""
    out, literals, at = bytearray(), bytearray(), 0

    def flush() -> None:
        for start in range(0, len(literals), 32):
            part = literals[start : start + 32]
            out.append(len(part) - 1)
            out.extend(part)
        literals.clear()

    while at < len(data):
        length, place = 2, -1
        while length < 264 and at + length < len(data):
            found = data.rfind(data[at : at + length + 1], max(0, at - 8192), at + length)
            if found < 0 or found >= at:
                break
            length, place = length + 1, found
        if place < 0:
            literals.append(data[at])
            at += 1
            continue
        flush()
        back, short = at - place - 1, length - 2
        out.append((min(short, 7) << 5) | (back >> 8))
        if short >= 7:
            out.append(short - 7)
        out.append(back & 255)
        at += length
    flush()
    return bytes(out)
