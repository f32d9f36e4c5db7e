# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What tests of the collector have in common, after ns_setup: a file SR "S", which is the current
# folder, and words to make trees and to judge them.

gc_words() {
	export VECTORS=$BATS_TEST_DIRNAME/../vectors/vhd NAMES=$BATS_TEST_DIRNAME/../helpers/vhd_parent.py
	export FULL=$BATS_TEST_DIRNAME/../helpers/vhd_full.py LISTEN=$BATS_TEST_DIRNAME/../helpers/listen.py
	ns_words <<-'END'
		# RAM: where nothing waits for a disk.
		[ -z "${RAM-}" ] || { mkdir "$T/ram"; mount -t tmpfs ram "$T/ram"; export T=$T/ram SM_ROOT=$T/ram/root; mkdir "$T/sr" "$SM_ROOT"; }
		# put VDI BYTE:AT…: a MiB of that byte at that MiB
		put() {
			local vdi=$1 at args=()
			shift
			for at; do args+=(-c "write -P ${at%:*} ${at#*:}M 1M"); done
			sm vdi serve "$vdi" --socket "$T/s" & pid=$!
			until nbdinfo --size "nbd+unix:///?socket=$T/s" >/dev/null 2>&1; do kill -0 $pid; done
			qemu-io -f raw "${args[@]}" "nbd+unix:///?socket=$T/s" >/dev/null
			kill $pid
			wait $pid
		}
		# keep VDI…: what they hold now; kept: and still do
		keep() { for v; do sm image convert -O raw $v.* "$T/$v.keep"; done; }
		kept() { for v; do sm image convert -O raw $v.* "$T/now" && cmp "$T/$v.keep" "$T/now" && rm "$T/now"; done; }
		nodes() { sm vdi tree S --json | jq '.vdis | length'; }
		clean() { sm sr check S && ! ls -A | grep -E '^(leaf|coalesce|relink)_|^OLD|journal'; }
		# chain N: disk 1 with N snapshots 2…, each after a MiB more
		chain() {
			sm vdi create disk --sr S --size 40M --format vhd --uuid ${U}1 >/dev/null
			for ((i = 2; i < $1 + 2; i++)); do
				put disk $i:$i 9$i:30
				sm vdi snapshot disk snap$i --uuid ${U}$i >/dev/null
			done
		}
		sr=$(sm sr create S --type file --dconf location="$T/sr")
		cd "$T/sr"
	END
}
