"""OLE compound files for tests: Outlook's msg. [MS-CFB], version 3, without what nobody needs."""

import struct
from dataclasses import dataclass

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
Tree = dict[str, "bytes | Tree"]


def msg(properties: dict[int, str | bytes], attachments: list[tuple[str, bytes | None]]) -> bytes:
    """A mail: properties by tag, text as Unicode, bytes as binary. None: a mail inside the mail."""
    tree: Tree = {"__properties_version1.0": bytes(32)}
    tree |= _streams(properties)
    for number, (name, data) in enumerate(attachments):
        folder = tree[f"__attach_version1.0_#{number:08X}"] = {"__properties_version1.0": bytes(8)}
        if data is None:
            inner: Tree = {"__properties_version1.0": bytes(24), **_streams({0x0037: name})}
            folder |= {**_streams({0x3001: name}), "__substg1.0_3701000D": inner}
        else:
            folder |= _streams({0x3707: name, 0x3701: data})
    return compound(tree)


def _streams(properties: dict[int, str | bytes]) -> Tree:
    return {
        f"__substg1.0_{tag:04X}{'001F' if isinstance(value, str) else '0102'}": (
            value.encode("utf-16-le") if isinstance(value, str) else value
        )
        for tag, value in properties.items()
    }


@dataclass(slots=True)
class _Entry:
    name: str
    kind: int  # 5 root, 1 storage, 2 stream
    data: bytes = b""
    child: int = _FREE
    right: int = _FREE


def compound(tree: Tree) -> bytes:
    """The file with these streams and storages."""
    entries = [_Entry("Root Entry", 5)]
    _add(entries, 0, tree)
    body, mini = bytearray(), bytearray()
    fat: list[int] = []
    mini_fat: list[int] = []
    starts = [(_END, 0)]
    for entry in entries[1:]:
        is_small = len(entry.data) < _CUTOFF
        where = (mini, mini_fat, _MINI) if is_small else (body, fat, _SECTOR)
        starts.append((_put(entry.data, *where), len(entry.data)))
    starts[0] = (_put(bytes(mini), body, fat, _SECTOR), len(mini))
    table = b"".join(_packed(one, *start) for one, start in zip(entries, starts, strict=True))
    first_directory = _put(table, body, fat, _SECTOR)
    packed = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    num_mini = -(-len(packed) // _SECTOR)
    first_mini = _put(packed.ljust(num_mini * _SECTOR, b"\xff"), body, fat, _SECTOR)
    num_fat = 1
    while num_fat * 128 < len(fat) + num_fat:
        num_fat += 1
    places = [len(fat) + n for n in range(num_fat)] + [_FREE] * (109 - num_fat)
    fat += [_FAT] * num_fat
    fat += [_FREE] * (num_fat * 128 - len(fat))
    body += struct.pack(f"<{len(fat)}I", *fat)
    numbers = (0x3E, 3, 0xFFFE, 9, 6, 0, num_fat, first_directory, 0, _CUTOFF)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6x5I", *numbers)
    head += struct.pack("<4I", first_mini, num_mini, _END, 0)
    return head + struct.pack("<109I", *places) + bytes(body)


def _add(entries: list[_Entry], parent: int, tree: Tree) -> None:
    """Siblings as a chain to the right, in the order that the format wants."""
    last = -1
    for name in sorted(tree, key=lambda one: (len(one), one.upper())):
        inner = tree[name]
        number = len(entries)
        entries.append(_Entry(name, 2, inner) if isinstance(inner, bytes) else _Entry(name, 1))
        if last < 0:
            entries[parent].child = number
        else:
            entries[last].right = number
        last = number
        if not isinstance(inner, bytes):
            _add(entries, number, inner)


def _put(data: bytes, body: bytearray, fat: list[int], size: int) -> int:
    if not data:
        return _END
    start, count = len(fat), -(-len(data) // size)
    body += data.ljust(count * size, b"\0")
    fat += [*range(start + 1, start + count), _END]
    return start


def _packed(entry: _Entry, start: int, size: int) -> bytes:
    name = entry.name.encode("utf-16-le") + b"\0\0"
    fixed = struct.pack("<HBBIII", len(name), entry.kind, 1, _FREE, entry.right, entry.child)
    return name.ljust(64, b"\0") + fixed + bytes(36) + struct.pack("<IQ", start, size)
