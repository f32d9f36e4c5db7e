# SPDX-License-Identifier: LGPL-2.1-or-later
"""chain.py LV: what a VHD in an LV shows through its parents, as libvhdi reads it.

Prints the depth of the chain and the MD5 sum of the whole disk.  Parents are found by the
name that the child gives, among the devices of device-mapper.
"""
import hashlib
import os
import sys

import pyvhdi


def load(path, chain):
    f = pyvhdi.file()
    f.open(os.path.realpath(path))
    chain.append(f)
    parent = f.parent_filename
    if parent:
        f.set_parent(load("/dev/mapper/" + os.path.basename(parent.replace("\\", "/")), chain))
    return f


images = []
disk = load(sys.argv[1], images)
total = hashlib.md5()
left = disk.media_size
while left:
    data = disk.read_buffer(min(left, 1 << 20))
    total.update(data)
    left -= len(data)
print(len(images), total.hexdigest())
