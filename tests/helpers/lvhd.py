# SPDX-License-Identifier: LGPL-2.1-or-later
"""lvhd.py DEVICE put UUID SECTOR COUNT BYTE | show UUID: the data of an LVHD disk without device-mapper.

lvhd.py DEVICE wipe LV SECTOR COUNT: zeroes; a SECTOR below 0 counts from the end of the volume.
lvhd.py DEVICE log UUID… | mark UUID: of each one's log of changed blocks a line "WHOLE PARENT CHILD BITS",
an empty one if there is none; mark says of its blocks 0 and 7 that they have changed.

Reads `sm vg show --json DEVICE` from its input and goes by the extents that it tells.  Shares no
code with the product.  show prints what is not zero, through the parents: "0+8:65 8+8:66".
"""
import json
import os
import struct
import sys
import uuid as ids

device, verb, uuid = sys.argv[1:4]
vg = json.load(sys.stdin)["vgs"][0]
fd = os.open(device, os.O_RDONLY if verb in ("show", "log") else os.O_RDWR | os.O_SYNC)
unit, base = vg["extent_size"], vg["pvs"][0]["pe_start"]
lvs = {lv["name"]: lv for lv in vg["lvs"]}


class Lv:
    def __init__(self, name):
        self.lv = lvs[name]
        self.size = self.lv["size"]

    def where(self, at):
        for s in self.lv["segments"]:
            n = at - s["start_extent"] * unit
            if 0 <= n < s["extent_count"] * unit:
                return base + s["areas"][0]["start_extent"] * unit + n
        raise ValueError(at)

    def read(self, at, n):
        return os.pread(fd, n, self.where(at))

    def write(self, at, b):
        os.pwrite(fd, b, self.where(at))


def disk(u):
    return Vhd(Lv("VHD-" + u)) if "VHD-" + u in lvs else Raw(Lv("LV-" + u))


class Raw:
    def __init__(self, lv):
        self.lv = lv

    def sector(self, n):
        return self.lv.read(n * 512, 512)

    def put(self, n, b):
        self.lv.write(n * 512, b)


class Vhd:
    def __init__(self, lv):
        self.lv = lv
        foot = lv.read(lv.size - 512, 512)
        if foot[:8] != b"conectix" or (~(sum(foot) - sum(foot[64:68]))) & 0xffffffff != \
                struct.unpack(">I", foot[64:68])[0]:
            raise ValueError("footer of " + lv.lv["name"])
        self.size, = struct.unpack(">Q", foot[48:56])
        head = lv.read(512, 1024)
        self.table, = struct.unpack(">Q", head[16:24])
        self.n, = struct.unpack(">I", head[28:32])
        self.end = self.table + (self.n * 4 + 511) // 512 * 512
        self.end += 512 + ((self.n + 7) // 8 + 511) // 512 * 512  # the batmap
        self.bat = list(struct.unpack(">%dI" % (self.size + (2 << 20) - 1 >> 21),
                                      lv.read(self.table, (self.size + (2 << 20) - 1 >> 21) * 4)))
        self.parent = None
        for i in range(8 if foot[63] == 4 else 0):
            code, space, n, _, at = struct.unpack(">4sIIIQ", head[576 + 24 * i:600 + 24 * i])
            self.end = max(self.end, at + (space + 511) // 512 * 512 if at else 0)
            if code == b"MacX":
                name = lv.read(at, n).decode().rsplit("/", 1)[1].replace("--", "-")
                self.parent = disk(name[-36:])

    def sector(self, n):
        e = self.bat[n >> 12] if n >> 12 < len(self.bat) else 0xffffffff
        if e != 0xffffffff:
            bits = self.lv.read(e * 512, 512)
            if bits[n % 4096 >> 3] & 0x80 >> n % 8:
                return self.lv.read((e + 1 + n % 4096) * 512, 512)
        return self.parent.sector(n) if self.parent else bytes(512)

    def put(self, n, b):
        if self.bat[n >> 12] == 0xffffffff:
            e = max([self.end // 512] + [x + 4097 for x in self.bat if x != 0xffffffff])
            while (e + 1) % 8:
                e += 1
            self.lv.write(e * 512, bytes(512))
            self.bat[n >> 12] = e
            self.lv.write(self.table + (n >> 12) * 4, struct.pack(">I", e))
        e = self.bat[n >> 12]
        bits = bytearray(self.lv.read(e * 512, 512))
        bits[n % 4096 >> 3] |= 0x80 >> n % 8
        self.lv.write((e + 1 + n % 4096) * 512, b)
        self.lv.write(e * 512, bytes(bits))


if verb == "wipe":
    lv, n = Lv(uuid), int(sys.argv[4])
    for i in range(int(sys.argv[5])):
        lv.write((n + i) * 512 + (lv.size if n < 0 else 0), bytes(512))
    sys.exit()


def log(u):
    if u + ".cbtlog" not in lvs:
        return ""
    head = Lv(u + ".cbtlog").read(0, 512)
    ends = [str(ids.UUID(bytes=e)) if any(e) else "-" for e in (head[:16], head[16:32])]
    return "%d %s %s %s" % (head[32], *ends, head[48:56].hex().rstrip("0") or 0)


if verb == "log":
    print("\n".join(log(u) for u in sys.argv[3:]))
    sys.exit()
if verb == "mark":
    lv = Lv(uuid + ".cbtlog")
    head = bytearray(lv.read(0, 512))
    head[48] = 0x81
    lv.write(0, bytes(head))
    sys.exit()
d = disk(uuid)
if verb == "put":
    for i in range(int(sys.argv[5])):
        d.put(int(sys.argv[4]) + i, bytes([int(sys.argv[6])]) * 512)
else:
    runs = []
    for i in range(8192 if isinstance(d, Raw) else d.size // 512):
        if i % 4096 >= 32:  # what is put lies before
            continue
        b = d.sector(i)
        if any(b):
            if runs and runs[-1][0] + runs[-1][1] == i and runs[-1][2] == b[0]:
                runs[-1][1] += 1
            else:
                runs.append([i, 1, b[0]])
    print(" ".join("%d+%d:%d" % tuple(r) for r in runs))
os.close(fd)
