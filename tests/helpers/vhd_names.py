# SPDX-License-Identifier: LGPL-2.1-or-later
"""vhd_names.py IMAGE…: each with a parent calls it the same in its header and its three texts.

We go by the header, others by the texts.
"""
import os
import struct
import sys

for path in sys.argv[1:]:
    with open(path, "rb") as f:
        foot = f.read(512)
        if foot[60:64] != struct.pack(">I", 4):
            continue
        head = f.read(1024)
        names = [head[64:576].decode("utf-16-be").rstrip("\0")]
        for i in range(576, 768, 24):
            code, _, n, _, at = struct.unpack(">4sIIIQ", head[i:i + 24])
            f.seek(at)
            if code == b"MacX":
                names.append(os.path.basename(f.read(n).decode()))
            elif code in (b"W2ku", b"W2ru"):
                names.append(f.read(n).decode("utf-16-le").rsplit("\\", 1)[1])
    if len(names) != 4 or len(set(names)) != 1:
        sys.exit("%s: %s" % (path, names))
