#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make.py DIR: images that are wrong, each in one way, under a name that says how.

What sm image answers to each is in the file expect.  Where there is content to
be had all the same, NAME.sum has the SHA-256 of it, by the model here.
"""
import hashlib
import os
import struct
import sys
import zlib

OUT = sys.argv[1]
BLOCK, SIZE = 2 << 20, 8 << 20
ONES64 = (1 << 64) - 1
W2RU, W2KU, MACX = 0x57327275, 0x57326B75, 0x4D616358


def write(name, data):
    """Sparse, because most of it is zeroes."""
    with open(os.path.join(OUT, name), 'wb') as f:
        for at in range(0, len(data), 4096):
            if any(data[at:at + 4096]):
                f.seek(at)
                f.write(data[at:at + 4096])
        f.truncate(len(data))


def sums(name, content):
    with open(os.path.join(OUT, name + '.sum'), 'w') as f:
        f.write(hashlib.sha256(content).hexdigest() + '\n')


def vsum(b):
    return ~sum(b) & 0xFFFFFFFF


def pattern(seed, n):
    """Something at both ends, for there is no need to write the rest to the disk."""
    p = hashlib.shake_128(b'%d' % seed).digest(4096)
    return p + bytes(n - 8192) + p


# --- VHD ---------------------------------------------------------------------


class Vhd:
    """A sound image; whoever wants a broken one changes fields before bytes()."""

    def __init__(self, ident=1, kind=3, size=SIZE, blocks=(0, 2), parent=None, parent_id=None, names=None):
        self.foot = dict(cookie=b'conectix', features=2, version=0x10000, header_at=512, time=1000,
                         creator=b'tap\0', creator_version=0x10003, os=0, original=size, size=size,
                         geometry=0x00100411, kind=kind, sum=None, ident=bytes([ident]) * 16, saved=0,
                         hidden=0, reserved=bytes(426))
        self.copy = {}                  # what the copy of the footer says differently
        n = -(-size // BLOCK) if 0 < size <= 1 << 40 else 4
        self.head = dict(cookie=b'cxsparse', data_at=ONES64, table_at=1536, version=0x10000, max_bat=n,
                         block_size=BLOCK, sum=None, parent_id=bytes(16), parent_time=0, name=b'',
                         reserved=bytes(256))
        self.batmap = dict(cookie=b'tdbatmap', at=2560, sectors=1, version=0x10002, sum=None, marker=0, keyed=0)
        self.bits = {b: b'\xff' * 512 for b in blocks}
        self.data = {b: pattern(ident * 16 + b, BLOCK) for b in blocks}
        self.full = set(blocks)         # what the batmap says
        self.locators = []              # (code, space, length, offset)
        self.texts = {}                 # offset: bytes
        self.bat, self.n = {}, n
        self.end = 3072
        if parent is not None:
            self.foot['kind'] = 4
            self.head['parent_id'] = parent_id if parent_id is not None else bytes([ident + 1]) * 16
            self.name_parent(names if names is not None else {MACX: b'file://./' + parent, W2KU: wide('.\\' + parent.decode()),
                                       W2RU: wide('.\\' + parent.decode())}, parent.decode())
        for b in blocks:
            self.bat[b] = (self.end // 512) | 7
            self.end = (self.bat[b] + 1) * 512 + BLOCK

    def name_parent(self, names, name):
        self.head['name'] = name.encode('utf-16-be', 'surrogatepass')
        at = 3072
        for code, text in names.items():
            self.locators.append([code, 512, len(text), at])
            self.texts[at] = text
            at += 512
        self.end = max(self.end, at)

    def footer(self, change):
        f = dict(self.foot, **change)
        b = struct.pack('>8sIIQI4sIIQQIII16sBB', f['cookie'], f['features'], f['version'],
                        ONES64 if f['kind'] == 2 else f['header_at'], f['time'], f['creator'],
                        f['creator_version'], f['os'], f['original'], f['size'], f['geometry'], f['kind'], 0,
                        f['ident'], f['saved'], f['hidden']) + f['reserved']
        s = vsum(b) if f['sum'] is None else f['sum']
        return b[:64] + struct.pack('>I', s) + b[68:]

    def header(self):
        h = self.head
        loc = b''.join(struct.pack('>IIIIQ', c, s, n, 0, at) for c, s, n, at in self.locators)
        b = struct.pack('>8sQQIIII16sII', h['cookie'], h['data_at'], h['table_at'], h['version'], h['max_bat'],
                        h['block_size'], 0, h['parent_id'], h['parent_time'], 0)
        b += h['name'].ljust(512, b'\0') + loc.ljust(192, b'\0') + h['reserved']
        s = vsum(b) if h['sum'] is None else h['sum']
        return b[:36] + struct.pack('>I', s) + b[40:]

    def bytes(self):
        b = self.batmap
        raw = bytearray(self.end + 512)
        for i, e in self.bat.items():
            if i in self.data and e * 512 + 512 + BLOCK <= self.end and e >= 6:
                raw[e * 512:e * 512 + 512 + BLOCK] = self.bits[i] + self.data[i]
        for i in range(self.n):
            raw[1536 + 4 * i:1540 + 4 * i] = struct.pack('>I', self.bat.get(i, 0xFFFFFFFF))
        bits = bytearray(512)
        for i in self.full:
            bits[i // 8] |= 0x80 >> i % 8
        raw[2560:3072] = bits
        raw[2048:2560] = (struct.pack('>8sQIIIBB', b['cookie'], b['at'], b['sectors'], b['version'],
                                      vsum(bits) if b['sum'] is None else b['sum'], b['marker'], b['keyed'])
                          .ljust(512, b'\0'))
        for at, text in self.texts.items():
            raw[at:at + len(text)] = text
        if self.foot['kind'] != 2:
            raw[0:512] = self.footer(self.copy)
            raw[512:1536] = self.header()
        raw[-512:] = self.footer({})
        return bytes(raw)

    def content(self, below=b''):
        size = self.foot['size']
        disk = bytearray(below[:size].ljust(size, b'\0'))
        for i, bits in self.bits.items():
            for s in range(4096):
                at = i * BLOCK + s * 512
                if bits[s // 8] & 0x80 >> s % 8 and at < size:
                    disk[at:at + 512] = self.data[i][s * 512:s * 512 + 512]
        return bytes(disk)


def wide(s):
    return s.encode('utf-16-le', 'surrogatepass')


def vhd(name, change=None, sound=True, **how):
    """sound: its content is that of the model, in spite of all."""
    v = Vhd(**how)
    if change:
        change(v)
    write(name + '.vhd', v.bytes())
    if sound:
        sums(name, v.content())
    return v


def foot(name, sound=False, **fields):
    vhd('footer-' + name, lambda v: v.foot.update(fields), sound)


def head(name, sound=False, **fields):
    vhd('header-' + name, lambda v: v.head.update(fields), sound)


def entry(name, block, value):
    vhd('bat-' + name, lambda v: v.bat.update({block: value(v) if callable(value) else value}), False)


def batmap(name, **fields):
    vhd('batmap-' + name, lambda v: v.batmap.update(fields))


def vhds():
    # The footer.
    vhd('footer-none', lambda v: (v.foot.update(cookie=b'nothing!')), False)
    foot('sums-wrong', sum=1)
    v = vhd('footers-differ', lambda v: v.copy.update(size=4 << 20))
    foot('size-all-ones', size=ONES64 - 511)
    foot('size-above-2040g', size=(2040 << 30) + 512)
    foot('size-not-512', size=SIZE - 1)
    foot('size-above-table', size=SIZE + 512)
    vhd('footer-size-zero', size=0, blocks=())
    for what, at in (('zero', 0), ('unaligned', 700), ('in-copy', 256), ('beyond-eof', 1 << 40),
                     ('negative', (1 << 63) + 512)):
        foot('header-at-' + what, header_at=at)
    foot('type-5', kind=5)
    foot('version-2', version=0x20000)
    foot('creator-tap-1.4', creator_version=0x10004)
    foot('creator-tap-0.1', creator_version=1)
    foot('poison', cookie=b'v_poison')
    foot('hidden-7', True, hidden=7)
    foot('saved-9', True, saved=9)
    foot('features-all', True, features=0xFFFFFFFF)
    foot('reserved-set', True, reserved=b'x' * 426)
    foot('time-future', True, time=0xFFFFFFFF)
    foot('geometry-all-ones', True, geometry=0xFFFFFFFF)

    # The header and its table.
    head('none', cookie=b'nothing!')
    head('sum-wrong', sum=1)
    for what, at in (('unaligned', 1537), ('beyond-eof', 1 << 40), ('over-copy', 0), ('over-header', 1024),
                     ('wraps', ONES64 - 511)):
        head('table-' + what, table_at=at)
    head('entries-wrap', max_bat=0x40000001)
    head('entries-16gib', max_bat=0xFFFFFFFF)
    head('entries-few', max_bat=3)
    for size in (0, 3 << 20, 4096, 1 << 20, 0x80000000):
        head('block-size-%d' % size, block_size=size)
    head('reserved-set', True, reserved=bytes(255) + b'x')
    head('parent-id-of-none', True, parent_id=b'\x07' * 16)
    vhd('header-parent-name-of-none', lambda v: v.head.update(name=b'\0x'))
    vhd('locator-of-none', lambda v: v.locators.append([MACX, 512, 5, 3072]))

    # Entries of the table.
    entry('below-metadata', 2, 3)
    entry('beyond-eof', 2, 0x00F00000)
    entry('all-but-one', 2, 0xFFFFFFFE)
    entry('over-footer', 2, lambda v: v.bat[2] + 8)
    entry('duplicate', 2, lambda v: v.bat[0])
    entry('overlap', 2, lambda v: v.bat[0] + 8)
    vhd('bat-all-same', lambda v: v.bat.update({i: v.bat[0] for i in range(4)}), False)

    # Bitmaps and batmap.
    def holes(v):
        v.bits[2] = bytes([0xF0]) + bytes(511)
    vhd('batmap-bit-over-holes', holes)
    vhd('batmap-bit-of-nothing', lambda v: v.full.update((1, 3)))
    batmap('at-beyond-eof', at=1 << 40)
    batmap('at-wraps', at=ONES64 - 511)
    batmap('size-zero', sectors=0)
    batmap('size-huge', sectors=0xFFFFFFFF)
    batmap('version-9', version=9 << 16)
    batmap('cookie', cookie=b'nothing!')
    batmap('sum-wrong', sum=1)
    batmap('keyed-7', keyed=7)

    # The file.
    v = Vhd()
    write('file-longer.vhd', v.bytes() + b'x' * 100)
    sums('file-longer', v.content())
    write('file-without-footer.vhd', v.bytes()[:-512])
    sums('file-without-footer', v.content())
    write('file-short-footer.vhd', v.bytes()[:-1])
    sums('file-short-footer', v.content())
    write('file-cut.vhd', v.bytes()[:3 << 20])
    write('file-of-one-sector.vhd', v.footer({}))
    write('file-empty.vhd', b'')
    write('fixed-longer-than-file.vhd', bytes(4096) + Vhd(kind=2).footer({}))

    # What a guest writes into its raw disk.
    write('guest-footer.raw', v.bytes())
    sums('guest-footer', v.bytes())
    write('guest-qcow2.img', q2(backing=b'/etc/passwd').bytes())
    sums('guest-qcow2', q2(backing=b'/etc/passwd').bytes())


def parents():
    base = Vhd(ident=2, blocks=(0, 1))
    write('base.vhd', base.bytes())
    write('base.raw', pattern(7, SIZE))
    write('secret', pattern(8, SIZE))
    os.symlink('secret', os.path.join(OUT, 'link.raw'))
    os.symlink('base.vhd', os.path.join(OUT, 'link.vhd'))
    os.mkdir(os.path.join(OUT, 'sub'))
    os.link(os.path.join(OUT, 'base.vhd'), os.path.join(OUT, 'sub/base.vhd'))
    os.mkfifo(os.path.join(OUT, 'fifo.vhd'))

    def child(name, parent=b'base.vhd', sound=False, change=None, **how):
        v = Vhd(parent=parent, **how)
        if change:
            change(v)
        write(name + '.vhd', v.bytes())
        if sound:
            sums(name, v.content(base.content()))

    child('locator-fine', sound=True)
    child('locator-code-unknown', change=lambda v: v.locators.append([0x12345678, 512, 5, 4608]))

    def first(i, value):
        def change(v):
            v.locators[0][i] = value
        return change
    child('locator-longer-than-space', sound=True, change=first(2, 4096))
    child('locator-length-all-ones', sound=True, change=first(2, 0xFFFFFFFF))
    child('locator-space-2gib', sound=True, change=first(1, 0x80000000))
    child('locator-at-wraps', sound=True, change=first(3, ONES64 - 511))
    child('locator-at-footer-copy', sound=True, change=first(3, 0))

    def named(name, text):
        """All texts say the same, as an attacker would have it."""
        u8, u16 = text.encode('utf-8', 'surrogatepass'), wide(text.replace('/', '\\'))
        child('parent-' + name, b'x', names={MACX: b'file://' + u8, W2KU: u16, W2RU: u16},
              change=lambda v: v.head.update(name=text.encode('utf-16-be', 'surrogatepass')[:512]))
    named('absolute', os.path.join(os.path.abspath(OUT), 'base.vhd'))
    named('dot-dot', '../%s/base.vhd' % os.path.basename(os.path.abspath(OUT)))
    named('folder', './sub/base.vhd')
    named('drive', 'C:/images/base.vhd')
    named('control', './ba\x1b[31mse.vhd')
    named('newline', './base.vhd\nvhd=forged')
    named('nul', './base.vhd\0x')
    named('surrogate', './\ud800base.vhd')
    named('device', '/dev/zero')
    named('nothing', './nowhere.vhd')
    named('is-link', './link.vhd')
    named('is-fifo', './fifo.vhd')
    named('is-folder', './sub')
    # Each platform's text alone, and the name in the header: none is trusted more than the others.
    def alone(name, texts, header=b''):
        child('alone-' + name, b'x', names=texts, sound=name.endswith('fine'),
              change=lambda v: v.head.update(name=header))
    path = os.path.join(os.path.abspath(OUT), 'base.vhd').encode()
    up = '../%s/base.vhd' % os.path.basename(os.path.abspath(OUT))

    def wide_be(text):
        return text.encode('utf-16-be')
    alone('macx-fine', {MACX: b'file://./base.vhd'})
    alone('w2ru-fine', {W2RU: wide('.\\base.vhd')})
    alone('w2ku-fine', {W2KU: wide('base.vhd')})
    alone('header-fine', {}, wide_be('base.vhd'))
    alone('macx-absolute', {MACX: b'file://' + path})
    alone('macx-up', {MACX: b'file://' + up.encode()})
    alone('macx-host', {MACX: b'file://localhost' + path})
    alone('macx-escaped', {MACX: b'file://%2e%2e/secret'})
    alone('macx-no-file', {MACX: b'smb://host/share/base.vhd'})
    alone('w2ru-absolute', {W2RU: wide(path.decode().replace('/', '\\'))})
    alone('w2ru-up', {W2RU: wide(up.replace('/', '\\'))})
    alone('w2ru-slashes', {W2RU: wide(up)})
    alone('w2ru-drive', {W2RU: wide('C:' + path.decode().replace('/', '\\'))})
    alone('w2ru-share', {W2RU: wide('\\\\host\\share\\base.vhd')})
    alone('w2ru-device', {W2RU: wide('\\\\.\\PhysicalDrive0')})
    alone('w2ru-odd', {W2RU: wide('base.vhd') + b'x'})
    alone('w2ku-absolute', {W2KU: wide(path.decode().replace('/', '\\'))})
    alone('w2ku-up', {W2KU: wide(up.replace('/', '\\'))})
    alone('w2ku-share', {W2KU: wide('\\\\host\\share\\base.vhd')})
    alone('w2ku-link', {W2KU: wide('.\\link.vhd')})
    alone('header-absolute', {}, wide_be(path.decode()))
    alone('header-up', {}, wide_be(up))
    for code in b'Wi2r', b'Wi2k', b'Mac ':		# of before Unicode: aliases and code pages
        alone(code.decode().strip().lower(), {struct.unpack('>I', code)[0]: b'.\\base.vhd'})
    # One that is fine is found behind others that are not.
    v = Vhd(parent=b'x', names={MACX: b'file://' + path, W2KU: wide('..\\secret'), W2RU: wide('.\\base.vhd')})
    v.head['name'] = wide_be('/etc/passwd')
    write('alone-last-fine.vhd', v.bytes())
    sums('alone-last-fine', v.content(base.content()))
    child('parent-time-future', sound=True, change=lambda v: v.head.update(parent_time=0xFFFFFFFF))
    child('parent-id-wrong', parent_id=b'\x99' * 16)
    child('parent-raw-is-secret', b'secret', parent_id=bytes(16))
    child('parent-raw-is-link', b'link.raw', parent_id=bytes(16))
    child('parent-raw-is-vhd', b'base.vhd', parent_id=bytes(16))
    v = Vhd(parent=b'base.raw', parent_id=bytes(16))
    write('parent-raw-fine.vhd', v.bytes())
    sums('parent-raw-fine', v.content(pattern(7, SIZE)))
    child('parent-smaller', sound=True, size=SIZE + BLOCK)
    child('parent-larger', sound=True, size=SIZE - BLOCK, blocks=(0,))

    # Chains without an end.
    child('loop-self', b'loop-self.vhd', ident=60, parent_id=b'\x3c' * 16)
    child('loop-first', b'loop-second.vhd', ident=61)
    child('loop-second', b'loop-first.vhd', ident=62, parent_id=b'\x3d' * 16)
    for i in range(300):
        v = Vhd(parent=b'deep-%d.vhd' % (i + 1), size=BLOCK, blocks=())
        v.foot['ident'] = struct.pack('>QQ', 5, i)
        v.head['parent_id'] = struct.pack('>QQ', 5, i + 1)
        write('deep-%d.vhd' % i, v.bytes())


# --- QCOW2 -------------------------------------------------------------------

C = 65536


class Q2:
    """Header, L1, refcount table and block, L2, two clusters of data."""

    def __init__(self, backing=None):
        self.h = dict(magic=b'QFI\xfb', version=3, backing_at=0, backing_len=0, bits=16, size=SIZE, crypt=0,
                      l1_size=1, l1_at=C, ref_at=2 * C, ref_clusters=1, snaps=0, snaps_at=0, incompatible=0,
                      compatible=0, autoclear=0, order=4, len=104)
        self.ext = struct.pack('>II', 0, 0)
        self.words = {}
        if backing is not None:
            self.h.update(backing_at=1024, backing_len=len(backing))
            self.words[1024] = backing
            self.ext = struct.pack('>II', 0xE2792ACA, 5) + b'qcow2\0\0\0' + self.ext
        self.l1 = 4 * C | 1 << 63
        self.l2 = {0: 5 * C | 1 << 63, 3: 6 * C | 1 << 63}
        self.refs = [1] * 7
        self.data = {5: pattern(90, C), 6: pattern(91, C)}
        self.n = 7

    def bytes(self):
        h, raw = self.h, bytearray(self.n * C)
        b = struct.pack('>4sIQIIQIIQQIIQQQQII', h['magic'], h['version'], h['backing_at'], h['backing_len'],
                        h['bits'], h['size'], h['crypt'], h['l1_size'], h['l1_at'], h['ref_at'],
                        h['ref_clusters'], h['snaps'], h['snaps_at'], h['incompatible'], h['compatible'],
                        h['autoclear'], h['order'], h['len']) + self.ext
        raw[:len(b)] = b
        for at, w in self.words.items():
            raw[at:at + len(w)] = w
        raw[C:C + 8] = struct.pack('>Q', self.l1)
        raw[2 * C:2 * C + 8] = struct.pack('>Q', 3 * C)
        for i, n in enumerate(self.refs):
            raw[3 * C + 2 * i:3 * C + 2 * i + 2] = struct.pack('>H', n)
        for i, e in self.l2.items():
            raw[4 * C + 8 * i:4 * C + 8 * i + 8] = struct.pack('>Q', e)
        for i, d in self.data.items():
            raw[i * C:i * C + len(d)] = d
        return bytes(raw)

    def content(self, below=None):
        disk = bytearray(below or SIZE)
        disk[0:C] = self.data[5]
        disk[3 * C:4 * C] = self.data[6]
        return bytes(disk)


def q2(change=None, backing=None, **fields):
    q = Q2(backing)
    q.h.update(fields)
    if change:
        change(q)
    return q


def qcow2s():
    def make(name, sound=False, ext=None, **how):
        q = q2(**how)
        if ext:
            q.ext = b''.join(struct.pack('>II', t, len(d)) + d + bytes(-len(d) % 8) for t, d in ext) + bytes(8)
        write('qcow2-' + name + '.qcow2', q.bytes())
        if sound:
            sums('qcow2-' + name, q.content())

    make('fine', True)
    make('magic', magic=b'QFI\0')
    make('version-4', version=4)
    make('clusters-of-256', bits=8)
    make('clusters-of-4m', bits=22)
    make('clusters-of-2-63', bits=63)
    make('size-all-ones', size=ONES64)
    make('size-above-16t', size=(16 << 40) + C)
    make('encrypted', crypt=1)
    make('l1-short', l1_size=0)
    make('l1-huge', l1_size=0xFFFFFFFF)
    make('l1-beyond-eof', l1_at=1 << 40)
    make('l1-unaligned', l1_at=C + 8)
    make('l1-wraps', l1_at=ONES64 - C + 1)
    make('refcounts-at-zero', ref_at=0)
    make('refcounts-huge', ref_clusters=0xFFFFFFFF)
    make('refcounts-of-128-bits', order=7)
    make('snapshots-many', snaps=65537, snaps_at=C)
    make('snapshots-beyond-eof', snaps=1, snaps_at=1 << 40)
    make('feature-unknown', incompatible=1 << 40)
    make('data-file', incompatible=4)
    make('zstd-without-bit', incompatible=8)
    make('header-short', len=96)
    make('header-long', len=C + 8)
    make('extension-overruns', change=lambda q: setattr(q, 'ext', struct.pack('>II', 0x1234, 0xFFFFFFF0)))

    # Names of other files.
    for what, name in (('json', b'json:{"driver":"raw"}'), ('nbd', b'nbd:localhost:10809'),
                       ('json-file', b'json:{"driver":"raw","file":{"filename":"secret"}}'),
                       ('json-blank', b' json:{"driver":"raw","file":{"filename":"secret"}}'),
                       ('file', b'file:secret'), ('file-url', b'file:///etc/passwd'), ('nbd-url', b'nbd://localhost/x'),
                       ('http', b'http://localhost/base.raw'), ('fat', b'fat:/etc'), ('blkdebug', b'blkdebug::secret'),
                       ('device', b'/dev/zero'), ('folder', b'sub/base.vhd'), ('is-folder', b'sub'),
                       ('is-link', b'link.raw'), ('is-fifo', b'fifo.vhd'), ('empty', b'\0'), ('nul', b'base.raw\0x'),
                       ('dot', b'.'), ('dots', b'..'), ('secret', b'secret'),
                       ('absolute', b'/etc/passwd'), ('dot-dot', b'../secret'), ('control', b'a\nb'),
                       ('itself', b'qcow2-backing-itself.qcow2')):
        make('backing-' + what, backing=name)
    # A format that the image claims for it: never raw but for a name that says so.
    for what, name, fmt in (('raw-fine', b'base.raw', b'raw'), ('raw-secret', b'secret', b'raw'),
                            ('raw-of-vhd', b'base.vhd', b'raw'), ('luks', b'base.raw', b'luks'),
                            ('format-json', b'base.raw', b'json:{}')):
        make('backing-' + what, backing=name, ext=((0xE2792ACA, fmt),))
    sums('qcow2-backing-raw-fine', q2().content(pattern(7, SIZE)))
    # Data and keys in other files, and words about them that no bit stands for.
    make('data-file-named', incompatible=4, ext=((0x44415441, b'secret'),))
    make('data-file-raw', incompatible=4, autoclear=2, ext=((0x44415441, b'/etc/passwd'),))
    make('data-file-no-bit', True, ext=((0x44415441, b'/etc/passwd'),))
    make('luks', crypt=2, ext=((0x0537BE77, struct.pack('>QQ', C, C)),))
    make('luks-no-method', True, ext=((0x0537BE77, struct.pack('>QQ', C, C)),))
    make('backing-beyond-cluster', backing=b'x', backing_at=C - 1, backing_len=2)
    make('backing-long', backing=b'x', backing_len=1024)
    make('backing-in-header', backing=b'x', backing_at=8)

    # Tables.
    def l1(v):
        return lambda q: setattr(q, 'l1', v)

    def l2(v):
        return lambda q: q.l2.update({0: v})
    make('l1-entry-beyond-eof', change=l1(1 << 40))
    make('l1-entry-reserved', change=l1(4 * C | 1))
    make('l1-entry-unaligned', change=l1(4 * C + 512))
    make('l2-entry-beyond-eof', change=l2(1 << 40))
    make('l2-entry-unaligned', change=l2(5 * C + 512))
    make('l2-entry-reserved', change=l2(5 * C | 1 << 60))
    make('l2-is-l1', change=l1(C | 1 << 63))
    make('refcount-zero', True, change=lambda q: q.refs.__setitem__(5, 0))

    def packed(data, sectors=None, at=7 * C):
        def change(q):
            q.n = 8
            q.data[7] = data
            x = 62 - (16 - 8)
            n = (len(data) + 511) // 512 - 1 if sectors is None else sectors
            q.l2[0] = 1 << 62 | n << x | at
            q.refs = [1] * 8
        return change

    def deflate(b):
        z = zlib.compressobj(9, zlib.DEFLATED, -12)
        return z.compress(b) + z.flush()
    make('packed-garbage', change=packed(b'\xff' * 600))
    make('packed-short', change=packed(deflate(pattern(90, C))[:40]))
    make('packed-beyond-eof', change=packed(b'', 5, 1 << 40))
    make('packed-too-little', change=packed(deflate(b'x' * 100)))

    # A cluster is taken from what would fill a thousand.
    q = q2(change=packed(deflate(pattern(90, C) + bytes(64 << 20))))
    q.data[7] = q.data[7][:C]
    write('qcow2-packed-bomb.qcow2', q.bytes())
    sums('qcow2-packed-bomb', q.content())


def journals():
    """For an image that is poisoned: what its journal says must not be believed."""
    def make(name, **f):
        v = Vhd()
        v.foot['cookie'] = b'v_poison'
        f = dict(dict(cookie=b'vjournal', ident=v.foot['ident'], footer_at=v.end, n_data=0, n_meta=1, data_at=1056,
                      meta_at=512, etype=1, elen=512, eat=v.end, ecookie=0xAAAA12344321AAAA), **f)
        j = struct.pack('>8s16sQIIQQ', f['cookie'], f['ident'], f['footer_at'], f['n_data'], f['n_meta'],
                        f['data_at'], f['meta_at']) + struct.pack('<Q', 1056)
        e = struct.pack('>QIIQI4x', f['ecookie'], f['etype'], f['elen'], f['eat'], 0)
        write('journal-%s.vhd' % name, v.bytes())
        write('journal-%s.vhd.journal' % name, j.ljust(512, b'\0') + e + Vhd().footer({}))

    make('no-cookie', cookie=b'nothing!')
    make('of-another', ident=b'\x77' * 16)
    make('footer-beyond-eof', footer_at=1 << 40)
    make('entry-beyond-eof', eat=1 << 40)
    make('entry-wraps', eat=ONES64 - 511)
    make('entry-huge', elen=0xFFFFFFFF)
    make('entry-unknown', etype=99)
    make('entry-no-cookie', ecookie=0)
    make('entries-many', n_meta=0xFFFFFFFF)
    make('entries-elsewhere', meta_at=1 << 40)


vhds()
parents()
qcow2s()
journals()
