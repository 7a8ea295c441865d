"""What must hold of a LAS or LAZ file before its decompressor sees it: that one ends the whole program, or takes all
memory, where the numbers of a damaged header are absurd.

Source: ASPRS LAS 1.4; LASzip's record of compression and its table of chunks.
"""

from __future__ import annotations

import struct
from typing import Any

from eqcli.io.cloud_source import Source

HEADER = 227
"""Bytes of the shortest header."""
LONG_HEADER = 375
"""Bytes of that of version 1.4."""
RECORD, LONG_RECORD = 54, 60
"""Bytes before the contents of a record, and of an extended one."""
COMPRESSED = 0xC0
"""Bits of the point format that mark compression."""
LASZIP = 22204
MOST_COMPRESSED = 10_000
"""No file is compressed more strongly than this; a million equal points are, by 2900."""
ANY_SIZE = 0xFFFFFFFF
"""Size of chunks that are of several sizes."""
ITEMS = 34
"""Offset of the list of items in the record of compression."""


def check(source: Source) -> None:
    """Raises InputError that names the byte of the first number that cannot be true."""
    data = source.data
    if len(data) < HEADER:
        raise source.wrong(f"the header of a LAS file has at least {HEADER} bytes", byte=len(data))
    header, offset, records = struct.unpack_from("<HII", data, 94)
    form, length = struct.unpack_from("<BH", data, 104)
    (count,) = struct.unpack_from("<I", data, 107)
    if data[24:26] >= b"\x01\x04":
        if len(data) < LONG_HEADER:
            raise source.wrong(f"the header of version 1.4 has {LONG_HEADER} bytes", byte=len(data))
        place, extended = struct.unpack_from("<QI", data, 235)
        (count,) = struct.unpack_from("<Q", data, 247)
        if extended and (place > len(data) or extended * LONG_RECORD > len(data) - place):
            raise source.wrong(f"{extended} extended records are announced beyond the end of the file", byte=235)
    if not HEADER <= header <= offset <= len(data):
        raise source.wrong(f"the points are announced at byte {offset} of {len(data)}", byte=96)
    if records * RECORD > offset - header:
        raise source.wrong(f"{records} records are announced, more than there is room for", byte=100)
    if length < 20:
        raise source.wrong(f"a point of {length} bytes is announced; the shortest has 20", byte=105)
    if form & COMPRESSED:
        _check_compressed(source, header, offset, records, length, count)
    elif count * length > len(data) - offset:
        found = (len(data) - offset) // length
        raise source.wrong(f"the file ends after {found} of the {count} points", byte=len(data))


def _check_compressed(source: Source, header: int, offset: int, records: int, length: int, count: int) -> None:
    data = source.data
    chunk, sizes = _compression(source, header, offset, records)
    if sizes != length:
        raise source.wrong(f"compressed points of {sizes} bytes are announced, and points of {length}", byte=105)
    if count * length > MOST_COMPRESSED * len(data):
        raise source.wrong(f"{count} points are announced, too many for the size of this file", byte=107)
    if not count:
        return
    if offset + 8 > len(data):
        raise source.wrong("the file ends before its points", byte=len(data))
    (table,) = struct.unpack_from("<q", data, offset)
    if table == -1:
        (table,) = struct.unpack_from("<q", data, len(data) - 8)
    if not offset + 8 <= table <= len(data) - 8:
        raise source.wrong(f"the table of chunks is announced at byte {table} of {len(data)}", byte=offset)
    _, chunks = struct.unpack_from("<II", data, table)
    # Each chunk begins with a whole point.
    if chunks * length > table - offset or (chunk != ANY_SIZE and not (chunks - 1) * chunk < count <= chunks * chunk):
        raise source.wrong(f"{chunks} chunks are announced for {count} points", byte=table + 4)


def _compression(source: Source, header: int, offset: int, records: int) -> tuple[int, int]:
    """Points per chunk and bytes per point, from the record of compression."""
    at = header
    for _ in range(records):
        if at + RECORD > offset:
            break
        name, number, size = struct.unpack_from("<16sHH", source.data, at + 2)
        start = at + RECORD
        if start + size > offset:
            raise source.wrong("a record is longer than there is room for", byte=at + 20)
        if number == LASZIP and name.startswith(b"laszip"):
            return _items(source, start, size)
        at = start + size
    raise source.wrong("the points are compressed, and there is no record of how", byte=header)


def _items(source: Source, start: int, size: int) -> tuple[int, int]:
    if size < ITEMS:
        raise source.wrong("the record of compression is too short", byte=start)
    (chunk,) = struct.unpack_from("<I", source.data, start + 12)
    (count,) = struct.unpack_from("<H", source.data, start + 32)
    if not chunk or not count or ITEMS + 6 * count > size:
        raise source.wrong("the record of compression is damaged", byte=start)
    items: list[Any] = [struct.unpack_from("<HHH", source.data, start + ITEMS + 6 * i) for i in range(count)]
    return chunk, sum(item[1] for item in items)
