#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What docs/security.md promises and no other file proves.

bats_require_minimum_version 1.5.0
load ns_helper

setup() {
	ns_setup
	mkdir "$T/host"
	ns_words <<-'END'
		sr=$(sm sr create S --type file --dconf location="$T/sr")
		cd "$T/sr"
	END
}

# opened.py DIR READY DONE: what of it is opened or read between the two, from the kernel itself.
setup_file() {
	cat >"$BATS_FILE_TMPDIR/opened.py" <<-'END'
		import ctypes, os, struct, sys, time
		libc = ctypes.CDLL(None, use_errno=True)
		fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
		assert fd >= 0 and libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x21) > 0
		open(sys.argv[2], "w").close()
		while not os.path.exists(sys.argv[3]):
		    time.sleep(.01)
		try:
		    b = os.read(fd, 1 << 20)
		except BlockingIOError:
		    b = b""
		names = set()
		while b:
		    n = struct.unpack("iIII", b[:16])[3]
		    names.add(b[16:16 + n].rstrip(b"\0").decode())
		    b = b[16 + n:]
		print(*sorted(names))
	END
}

@test "links in an SR's directory lead nowhere: no verb reads or changes what they point to" {
	ns <<-'END'
		sm vdi create good --sr S --size 4M --format vhd --uuid ${U}1 >/dev/null
		sm vdi create raw --sr S --size 4M --format raw --uuid ${U}2 >/dev/null
		# What a host keeps beside the SR: an image, a raw disk, a record, and a folder.
		cp ${U}1.vhd "$T/host/image.vhd"
		truncate -s 4M "$T/host/disk.raw"
		echo name=precious >"$T/host/file"
		mkdir "$T/host/folder"
		mkfifo "$T/host/fifo"
		before=$(cd "$T/host" && find . -type f -exec sha256sum {} + | sort; ls -lR --time-style=full-iso)
		ln -s "$T/host/image.vhd" ${U}3.vhd
		ln -s "$T/host/disk.raw" ${U}4.raw
		ln -s "$T/host/none" ${U}5.vhd
		ln -s "$T/host/file" ${U}6.raw
		rm .sm/vdi/${U}2 && ln -s "$T/host/file" .sm/vdi/${U}2
		rmdir .sm/tmp 2>/dev/null || :
		[ -e .sm/tmp ] || ln -s "$T/host/folder" .sm/tmp
		# Journals of verbs that would have died: to one of another place, and to what waits for a reader.
		printf '%s_' ${U}1 >"$T/host/journal"
		for kind in clone leaf compose; do
			ln -s "$T/host/journal" ${kind}_${U}1
			ln -s "$T/host/fifo" ${kind}_${U}2
		done
		python3 "$BATS_FILE_TMPDIR/opened.py" "$T/host" "$T/watching" "$T/watched" >"$T/opened" &
		until [ -e "$T/watching" ]; do kill -0 $!; done
		for n in 3 4 5 6; do
			for verb in "vdi attach" "vdi show" "vdi rename" "vdi snapshot" "vdi clone"; do
				# shellcheck disable=SC2086
				! sm $verb ${U}$n ${verb:+$([ "$verb" != "vdi rename" ] || echo new)} --sr S >/dev/null 2>&1 ||
					{ echo "sm $verb took a link"; exit 1; }
			done
			! sm vdi resize ${U}$n 8M --sr S >/dev/null 2>&1 || { echo "sm vdi resize took a link"; exit 1; }
		done
		sm vdi rename ${U}2 other --sr S || :
		sm vdi snapshot ${U}1 --sr S >/dev/null || :
		sm vdi create fifth --sr S --size 4M --format vhd --uuid ${U}5 >/dev/null 2>&1 || :
		sm sr scan S >/dev/null 2>&1 || :
		sm sr check S --repair >/dev/null 2>&1 || :
		for n in 1 2 3 4 5 6; do sm vdi delete ${U}$n --sr S >/dev/null 2>&1 || :; done
		touch "$T/watched"
		wait $!
		[ "$(cat "$T/opened")" = "" ] || { echo "opened by a link: $(cat "$T/opened")"; exit 1; }
		rm "$T/host/journal"
		after=$(cd "$T/host" && find . -type f -exec sha256sum {} + | sort; ls -lR --time-style=full-iso)
		[ "$before" = "$after" ] || { diff <(echo "$before") <(echo "$after"); exit 1; }
	END
}

@test "links that come and go while verbs are at work lead nowhere either" {
	cat >"$T/swap.py" <<-'END'
		# In the SR's directory: a disk, a record and the folder of what is half done are one moment
		# themselves, and the next a link to what the host keeps elsewhere; and at times a second name of it.
		import os, sys
		host, u = sys.argv[1], sys.argv[2]

		def become(name, evil):
		    os.link(name + ".own", "t1")
		    os.symlink(evil, "t2")
		    os.rename("t2", name)
		    os.rename("t1", name)

		for name, evil in ((u + ".vhd", "image.vhd"), (".sm/vdi/" + u, "file")):
		    os.link(name, name + ".own")
		open("../swapping", "w").close()
		n = 0
		while not os.path.exists("../stop"):
		    try:
		        become(u + ".vhd", host + "/image.vhd")
		        become(".sm/vdi/" + u, host + "/file")
		        os.rename(".sm/tmp", ".sm/t3")
		        os.symlink(host + "/folder", ".sm/tmp")
		        os.unlink(".sm/tmp")
		        os.rename(".sm/t3", ".sm/tmp")
		        n += 1
		    except OSError:         # a verb was faster
		        for t in ("t1", "t2"):
		            if os.path.lexists(t):
		                os.unlink(t)
		sys.exit(n < 10)
	END
	ns <<-'END'
		sm vdi create good --sr S --size 4M --format vhd --uuid ${U}1 >/dev/null
		sm image create "$T/host/image.vhd" --size 4M >/dev/null
		echo name=precious >"$T/host/file"
		mkdir "$T/host/folder"
		see() { (cd "$T/host" && find . -type f -exec sha256sum {} + | sort; ls -lR --time-style=full-iso); }
		before=$(see | sed 's/^\([-d][rwx-]*\) [0-9]*/\1/')
		python3 "$T/swap.py" "$T/host" ${U}1 &
		until [ -e ../swapping ]; do kill -0 $!; done
		for n in 1 2 3 4 5 6; do
			sm vdi rename ${U}1 "name $n" --sr S || :
			sm vdi resize ${U}1 $((4 + 2 * n))M --sr S || :
			sm vdi snapshot ${U}1 "then $n" --sr S || :
			sm vdi create "new $n" --sr S --size 4M --format vhd || :
			sm vdi delete "new $n" --sr S || :
			sm sr check S --repair || :
		done >"$T/said" 2>&1
		touch ../stop
		wait $!
		! grep -r precious . || { echo "a file of the host's was read"; exit 1; }
		after=$(see | sed 's/^\([-d][rwx-]*\) [0-9]*/\1/')
		[ "$before" = "$after" ] || { diff <(echo "$before") <(echo "$after"); exit 1; }
	END
}

@test "images name no host file: a parent by path, by link or by way of another folder is not opened" {
	ns <<-'END'
		sm image create parent-1234.vhd --size 4M >/dev/null
		sm image snapshot parent-1234.vhd child.vhd
		mount -t tmpfs none /mnt
		cp parent-1234.vhd "$T/host/parent.vhd"; cp parent-1234.vhd "$T/host/pare1.vhd"; mv parent-1234.vhd /mnt/x1234567.vhd
		refuses() {
			for verb in info check map "convert -O raw"; do
				# shellcheck disable=SC2086
				! sm image $verb "$1" $([ "$verb" = "${verb#convert}" ] || echo out.raw) >"$T/out" 2>&1 ||
					{ echo "$verb followed $2"; cat "$T/out"; exit 1; }
			done
			[ ! -e out.raw ]
		}
		ln -s "$T/host/parent.vhd" parent-1234.vhd
		refuses child.vhd "a link"
		rm parent-1234.vhd
		# The same image with another name in all its locators, as long as its own; it would do with --any-parent.
		for name in ../host/pare1.vhd /mnt/x1234567.vhd; do
			python3 -c 'import sys
		name, b = sys.argv[1], open("child.vhd", "rb").read()
		for code in "utf-8", "utf-16-le":
		    b = b.replace("./parent-1234.vhd".encode(code), name.encode(code))
		open("evil.vhd", "wb").write(b)' $name
			! cmp -s child.vhd evil.vhd
			sm image info --any-parent evil.vhd | grep "${name##*/}" >/dev/null
			refuses evil.vhd $name
		done
	END
}

@test "whatever the umask, nothing that we make is writable by others, and secrets are ours alone" {
	ns <<-'END'
		umask 0
		sm vdi create a --sr S --size 4M --format vhd >/dev/null
		sm vdi create b --sr S --size 4M --format raw >/dev/null
		sm vdi snapshot a c >/dev/null
		sm vdi attach b >/dev/null
		sm image create new.vhd --size 4M
		sm sr create D --type dummy --dconf password=hunter2 >/dev/null 2>&1 || :
		echo name=x >.sm/vdi/${U}9; chmod 600 .sm/vdi/${U}9
		sm sr check S --repair | grep "^kept: $SM_ROOT/var/lib/sm/" >/dev/null
		bad=$(find "$T/sr" "$SM_ROOT" ! -type l -perm /022 ! -path "*/root" ! -path "*/root/run/sr-mount/*/*")
		[ -z "$bad" ] || { ls -ld $bad; exit 1; }
		[ "$(stat -c %a "$SM_ROOT/etc/smtab")" = 600 ]
		sm vdi detach b
	END
}

@test "a secret is in no argument and no environment of a running verb, and in no error" {
	mkfifo "$T/fifo"
	# With -v the log is there, too.
	sm -v sr create D --type dummy --dconf chappassword=hunter2 --dconf other=@"$T/fifo" >"$T/said" 2>&1 &
	pid=$!
	exec 5>"$T/fifo"		# it has opened its end: all before has been read
	tr '\0' '\n' <"/proc/$pid/cmdline" >"$T/seen"
	grep -q chappassword= "$T/seen"		# it is the right process
	tr '\0' '\n' <"/proc/$pid/environ" >>"$T/seen"
	exec 5>&-
	wait $pid || true
	[ -s "$T/said" ]
	run ! grep hunter2 "$T/said" "$T/seen"
}

@test "secrets in documents: in no argument and no environment while a verb waits, and in nothing that it says" {
	local sr=${U}7 lock doc pids=() pid
	lock=$SM_ROOT/var/lock/sm/$sr/sr
	ln -s "$(realpath "$(command -v sm)")" "$T/DummySR"
	mkdir -p "${lock%/*}" && chmod 700 "$SM_ROOT/var/lock/sm" "${lock%/*}"
	mkfifo "$T/hold"
	python3 -c 'import fcntl, sys
f = open(sys.argv[1], "w")
fcntl.lockf(f, fcntl.LOCK_EX)
open(sys.argv[2], "w").close()
sys.stdin.read()' "$lock" "$T/held" <"$T/hold" &
	exec 6>"$T/hold"
	until [ -e "$T/held" ]; do kill -0 $!; done
	member() { echo "<member><name>$1</name><value>$2</value></member>"; }
	doc="<methodCall><methodName>sr_attach</methodName><params><param><value><struct>$(member host_ref OpaqueRef:h1
		member command sr_attach; member args "<array><data/></array>"; member sr_uuid $sr
		member device_config "<struct>$(member chappassword hunter2; member cifspassword hunter2)</struct>")"
	doc+="</struct></value></param></params></methodCall>"
	"$T/DummySR" "$doc" >"$T/said.1" 2>&1 6>&- &
	pids+=($!)
	sm sr_attach -t dummy -d "<dconf><chappassword>hunter2</chappassword></dconf>" $sr >"$T/said.2" 2>&1 6>&- &
	pids+=($!)
	for pid in "${pids[@]}"; do
		until find "/proc/$pid/fd" -lname "$lock" 2>/dev/null | grep >/dev/null .; do kill -0 "$pid"; done
		tr '\0' '\n' <"/proc/$pid/cmdline" >>"$T/seen"
		tr '\0' '\n' <"/proc/$pid/environ" >>"$T/seen"
	done
	grep sr_attach "$T/seen" >/dev/null && grep DummySR "$T/seen" >/dev/null
	exec 6>&-
	for pid in "${pids[@]}"; do wait "$pid" || true; done
	run ! grep hunter2 "$T/seen" "$T"/said.*
}

@test "arguments as long as the kernel lets them be: one line, and an exit code of ours" {
	local long status n=0
	long=$(head -c 60000 /dev/zero | tr '\0' a)
	while read -r words; do
		status=0
		# shellcheck disable=SC2086
		sm ${words//@/$long} >"$T/out" 2>"$T/err" || status=$?
		[ $status -ge 1 ] && [ $status -le 123 ] || { echo "$words: status $status"; head -c 300 "$T/err"; false; }
		[ "$(wc -l <"$T/err")" -le 1 ] || { echo "$words:"; head -c 300 "$T/err"; false; }
		n=$((n + 1))
	done <<-'END'
		@
		vdi @
		vdi show @
		vdi create @ --sr @ --size @
		vdi create @ --sr S --size 1M --uuid @
		vdi create x --sr @ --size 1M --description @
		vdi list --sr @
		sr create @ --type @ --dconf @=@
		sr create x --type file --dconf location=/@
		sr create x --type file --dconf location=@
		sr probe /@
		image info @
		image info /@/@
		image convert @ @
		image create @ --size 1M
		image info @ -f @
		vg show @
		vg history @ --vg @ --seqno @
		lock show @
		gc run @
		--@
		vdi list --@=@
		vdi_create -t @ -d @ @ @ @
		vdi_create -t file -d /@ @ @ 1
	END
	[ $n -gt 20 ]
}

# The only way to look in from outside: while it waits for somebody to read its answer.
@test "verbs that only look run in a sandbox" {
	[ ! -x "${sm%/gcc/bin/sm}/musl/bin/sm" ] || PATH=${sm%/gcc/bin/sm}/musl/bin:$PATH
	grep -q '^Seccomp:' /proc/self/status || skip "no seccomp in this kernel"
	{ head -c 4096 /dev/zero | tr '\0' a; head -c 4096 /dev/zero; } >"$T/1"
	for i in 1 2 3 4 5 6 7 8 9 10; do cat "$T/$i" "$T/$i" >"$T/$((i + 1))"; done
	dd if="$T/11" of="$T/holes.raw" bs=4k conv=sparse 2>/dev/null
	mkfifo "$T/fifo"
	sm image map --json "$T/holes.raw" >"$T/fifo" &
	pid=$!
	exec 5<"$T/fifo"
	read -r first <&5
	[ "$first" = "[" ]
	until grep -q '^State:.*S' "/proc/$pid/status"; do kill -0 $pid; done
	grep -E '^(Seccomp|NoNewPrivs|CapEff):' "/proc/$pid/status" | tr -d ' \t' >"$T/status"
	cat <&5 >/dev/null
	wait $pid
	diff "$T/status" - <<-'END'
		CapEff:0000000000000004
		NoNewPrivs:1
		Seccomp:2
	END
}
