# SPDX-License-Identifier: LGPL-2.1-or-later
"""listen.py SOCKET FILE: what comes by a datagram socket, each line after when it came, by the kernel.

Seconds of the clock; however late this program gets to read it.
"""
import socket
import struct
import sys

SO_TIMESTAMP = 29       # <asm-generic/socket.h>; Python has no name for it
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
s.bind(sys.argv[1])
with open(sys.argv[2], "w", buffering=1, encoding="utf-8", errors="replace") as out:
    while True:
        text, more, _, _ = s.recvmsg(65536, 256)
        sec, usec = struct.unpack("ll", more[0][2][:16])
        out.write("%d.%06d %s\n" % (sec, usec, text.decode(errors="replace").replace("\n", " ")))
