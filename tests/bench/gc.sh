#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# gc.sh BUILD: a hidden disk of 1 GiB merged into its parent by the collector, beside
# qemu-img commit on the same bytes, in turns on one disk, and beside cp, which shows
# what the disk can do.  What is read is in the page cache.  Each run gets the tree
# again: the node, which is only read, by a link.

[ -n "${INSIDE:-}" ] || INSIDE=1 exec unshare -rm "$0" "$@"	# an SR mounts its folder
. "$(dirname "$0")/common.bash"
vhdt=$("$bench/../lab/tools/build.sh" "$build" vhdt)
cd "$tmp" || exit
rounds=${RUNS:-5}
export SM_GC=off U=00000000-0000-4000-8000-00000000000
mkdir sr
sm sr create S --type file --dconf location="$tmp/sr" >/dev/null
at_end+=("sm sr forget S")

# made NAME SECTORS STRIDE TIMES BASE: base (empty, or with data in that sector), node with the data,
# two disks on it; and QCOW2s.
made() {
	local node

	rm -rf sr/*.vhd tree
	sm vdi create disk --sr S --size 1G --format vhd --uuid ${U}1 >/dev/null
	[ "$5" = empty ] || "$vhdt" put sr/${U}1.vhd "$5" 8 1
	sm vdi snapshot disk a --uuid ${U}2 >/dev/null
	"$vhdt" put sr/${U}1.vhd 0 "$2" 7 "$3" "$4"
	sm vdi snapshot disk b --uuid ${U}3 >/dev/null
	sm vdi delete a
	node=$(sm vdi show disk --minimal >/dev/null && sm vdi show disk --json | jq -r .vdi.parent)
	sm image convert -O raw sr/${U}1.vhd all.raw
	qemu-img create -q -f qcow2 base.qcow2.copy 1G
	cp base.qcow2.copy base.qcow2
	qemu-img convert -f raw -O qcow2 -B base.qcow2 -F qcow2 all.raw child.qcow2
	mkdir tree
	ln "sr/$node.vhd" tree/
	cp -n sr/*.vhd tree/ 2>/dev/null || true
	echo "for f in tree/*; do case \$f in *$node*) ln -f \$f sr/ ;; *) cp \$f sr/ ;; esac; done; exec sm gc run S >/dev/null" >merge
	sync
	cat tree/* child.qcow2 all.raw >/dev/null
	measure -n "$rounds" --- sh ./merge \
		--- sh -c 'cp base.qcow2.copy base.qcow2 && qemu-img commit -q -d child.qcow2 && exec sync base.qcow2' \
		--- sh -c 'rm -f c.raw; cp --sparse=auto all.raw c.raw && exec sync c.raw'
	sm image convert -O raw sr/${U}1.vhd now.raw
	cmp now.raw all.raw
	rm -f now.raw c.raw all.raw child.qcow2 base.qcow2*
	sm vdi delete disk
	sm vdi delete b
}

head_line 'A node of 1 GiB merged' least
made dense 2093056 1 1 2093056
row 'dense (peer: commit)' 0 1 1
row '    beside cp' 0 2
made sparse 8 256 8192 0
row 'sparse (peer: commit)' 0 1 1
row '    beside cp' 0 2
made 'into an empty one' 2097152 1 1 empty
row 'its parent is empty' 0 1 20
made 'into one it hides' 2097152 1 1 0
row 'it hides its parent' 0 1 20
verdict
