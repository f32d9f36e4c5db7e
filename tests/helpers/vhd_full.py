# SPDX-License-Identifier: LGPL-2.1-or-later
"""vhd_full.py IMAGE...: a VHD in which every block is there and full.  What it shows is holes."""
import struct
import sys

BLOCK = 4104        # sectors from one to the next: a bitmap at the end of a page, and 2 MiB


def checksum(data):
    return struct.pack(">I", ~sum(data) & 0xffffffff)


for path in sys.argv[1:]:
    with open(path, "r+b") as f:
        footer = f.read(512)
        size, = struct.unpack(">Q", footer[48:56])
        header_at, = struct.unpack(">Q", footer[16:24])
        f.seek(header_at)
        header = f.read(1024)
        table_at, = struct.unpack(">Q", header[16:24])
        max_bat, = struct.unpack(">I", header[28:32])
        f.seek(0, 2)
        first = (f.tell() // 512 | 7) + 8
        n = size >> 21
        map_at = table_at + (max_bat * 4 + 511) // 512 * 512
        f.seek(map_at)
        head = bytearray(f.read(512))
        at, sectors = struct.unpack(">QI", head[8:20])
        bits = bytearray((n // 8 + 511) // 512 * 512)
        for i in range(n // 8):
            bits[i] = 0xff
        for i in range(n // 8 * 8, n):
            bits[i // 8] |= 0x80 >> i % 8
        head[24:28] = checksum(bits)
        f.seek(map_at)
        f.write(head)
        f.seek(at)
        f.write(bits)
        f.seek(table_at)
        f.write(struct.pack(">%dI" % n, *(first + i * BLOCK for i in range(n))))
        f.seek((first + (n - 1) * BLOCK + 1) * 512 + (2 << 20))
        f.write(footer)
