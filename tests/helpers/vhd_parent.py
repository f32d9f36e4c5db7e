# SPDX-License-Identifier: LGPL-2.1-or-later
"""vhd_parent.py IMAGE NAME: the image calls its parent ./NAME, as vhd-util writes it.

Images of vhd-util have the names that they were made under; in an SR they are uuids.
"""
import struct
import sys

path, name = sys.argv[1:]
texts = {b"MacX": ("file://./" + name).encode(), b"W2ku": (".\\" + name).encode("utf-16-le"),
         b"W2ru": (".\\" + name).encode("utf-16-le")}
with open(path, "r+b") as f:
    at, = struct.unpack(">16xQ", f.read(24))
    f.seek(at)
    h = bytearray(f.read(1024))
    h[64:576] = name.encode("utf-16-be").ljust(512, b"\0")
    for i in range(576, 768, 24):
        code, space, _, _, where = struct.unpack(">4sIIIQ", h[i:i + 24])
        if code not in texts:
            continue
        f.seek(where)
        f.write(texts[code].ljust(max(space, 512), b"\0"))
        h[i + 8:i + 12] = struct.pack(">I", len(texts[code]))
    h[36:40] = bytes(4)
    h[36:40] = struct.pack(">I", ~sum(h) & 0xffffffff)
    f.seek(at)
    f.write(h)
