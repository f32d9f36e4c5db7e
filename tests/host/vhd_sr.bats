#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks of a file SR: snapshots, clones, and what other tools and strangers
# put there.  Each test has mounts of its own, so it needs root and no lab.
# Contents and deaths: tests/unit/dir_model.c, tests/sweep/sweep.c.

bats_require_minimum_version 1.5.0
load ns_helper

setup() {
	ns_setup
	export VECTORS=$BATS_TEST_DIRNAME/../vectors/vhd
	ns_words <<-'END'
		vector() { xz -dc "$VECTORS/$1.vhd.xz" >"$T/sr/$2.vhd"; }
		sr=$(sm sr create S --type file --dconf location="$T/sr")
		cd "$T/sr"
	END
}

@test "a VHD disk: made, shown, grown" {
	ns <<-'END'
		sm vdi create root --sr S --size 3M --format vhd
		is '.vdi | .format == "vhd" and .virtual_size == 4194304 and .parent == null and .children == []' sm vdi show root
		test -f *.vhd
		qemu-img info -f vpc --output=json *.vhd | jq -e '."virtual-size" > 0'
		vhdiinfo *.vhd >/dev/null
		is '.vdi.virtual_size == 10485760' sm vdi resize root 9M
		is '.vdi.virtual_size == 1073741824' sm vdi resize root 1G
		sm image check *.vhd
		test -z "$(ls -A | grep journal || :)"
		fails 2 '*shrinking*' sm vdi resize root 5M
		sm vdi create other --sr S --size 1M --sm-config type=vhd
		sm vdi create third --sr S --size 1M --sm-config vdi_type=vhd
		is '[.vdis[].format] == ["vhd","vhd","vhd"]' sm vdi list --sr S
		fails 2 '*between 1 MiB and 2040 GiB*' sm vdi create big --sr S --size 3T --format vhd
		fails 2 '*between 1 MiB and 2040 GiB*' sm vdi create small --sr S --size 1000K --format vhd
		sm vdi create huge --sr S --size 2040G --format vhd
		fails 2 '*always thin*--format raw*' sm vdi create thick --sr S --size 4M --sm-config allocation=thick
		sm vdi create plain --sr S --size 1M
		is '.vdi | .format == "vhd" and .virtual_size == 2097152' sm vdi show plain
		sm vdi create bytes --sr S --size 1M --format raw
		is '.vdi | .format == "raw" and .virtual_size == 1048576' sm vdi show bytes
	END
}

@test "snapshots and clones: who stands on whom, and what goes when nobody does" {
	ns <<-'END'
		sm vdi create root --sr S --size 8M --format vhd --description "the system" --uuid ${U}1
		sm vdi snapshot root before --uuid ${U}2
		base=$(sm vdi show root --json | jq -r .vdi.parent)
		is '.vdi | .snapshot_of == "'${U}1'" and .read_only and .parent == "'$base'"' sm vdi show before
		is '.vdi | .name == "root" and .description == "the system" and (.read_only | not)' sm vdi show root
		is '.vdi | .hidden and .name == "base copy" and (.children | sort) == ["'${U}1'","'${U}2'"]' sm vdi show $base
		# Nothing was written since: another one stands on the same node.
		sm vdi clone root --uuid ${U}3
		sm vdi clone before web --uuid ${U}4
		is '[.vdis[] | .depth] == [0,1,1,1,1] and (.vdis | length) == 5' sm vdi tree S
		is '.vdi | .name == "root clone" and .snapshot_of == null and (.read_only | not)' sm vdi show ${U}3
		test "$(sm vdi list --sr S | wc -l)" -eq 5
		test "$(sm vdi list --sr S --minimal | tr , '\n' | wc -l)" -eq 4
		sm vdi tree S | grep >/dev/null '└─ '
		is '.sr | .vdis == 4 and .allocated == 4 * 8388608' sm sr show S
		fails 1 '*inner node*' sm vdi delete $base
		fails 1 '*inner node*' sm vdi snapshot $base
		fails 2 '*never changes*' sm vdi resize before 16M
		fails 1 '*already exists*' sm vdi snapshot root --uuid ${U}4
		fails 1 '*already exists*' sm vdi clone root --uuid $base
		for f in *.vhd; do qemu-img info -f vpc $f >/dev/null; sm image check $f; done
		is '.problems == []' sm sr check S
		sm vdi delete before; sm vdi delete web; sm vdi delete ${U}3
		test -f $base.vhd
		sm vdi delete root
		test -z "$(ls)"
		test -z "$(ls .sm/vdi .sm/tmp | grep -v :)"
		sm sr destroy S
	END
}

@test "a dry run says what a snapshot takes, and leaves nothing" {
	ns <<-'END'
		sm vdi create root --sr S --size 8G --format vhd
		find . -type f | sort >"$T/before"
		is '(.plan | length) == 2 and .space > 65536 and .space < 1048576' sm vdi snapshot root --dry-run
		is '(.plan | length) == 2' sm vdi clone root --dry-run
		find . -type f | sort | cmp - "$T/before"
	END
}

@test "a snapshot of a raw disk, which turns into a VHD" {
	ns <<-'END'
		sm vdi create plain --sr S --size 4M --format raw --uuid ${U}1
		printf 'hello' | dd of=${U}1.raw conv=notrunc status=none
		test -f ${U}1.raw
		sm vdi snapshot plain --uuid ${U}2
		base=$(sm vdi show plain --json | jq -r .vdi.parent)
		test -f $base.raw -a -f ${U}1.vhd -a ! -e ${U}1.raw
		test "$(head -c 5 $base.raw)" = hello
		is '.vdi | .hidden and .format == "raw" and .read_only' sm vdi show $base
		is '.vdis | map(.format) == ["raw","vhd","vhd"]' sm vdi tree S
		is '.problems == []' sm sr check S
		sm image map ${U}1.vhd --json | jq -e '.[0] | .depth == 1'
		sm vdi delete plain; sm vdi delete ${U}2
		test -z "$(ls)"
	END
}

@test "the machines' doors: SMAPIv1 and the API of 2007" {
	ns <<-'END'
		call() {	# call COMMAND ARGS-XML MEMBERS-XML
			FileSR "<methodCall><methodName>$1</methodName><params><param><value><struct><member><name>host_ref</name><value>OpaqueRef:h</value></member><member><name>command</name><value>$1</value></member><member><name>args</name><value><array><data>$2</data></array></value></member><member><name>device_config</name><value><struct><member><name>location</name><value>$T/sr</value></member></struct></value></member><member><name>sr_uuid</name><value>$sr</value></member>$3</struct></value></param></params></methodCall>"
		}
		vdi="<member><name>vdi_uuid</name><value>${U}1</value></member><member><name>vdi_location</name><value>${U}1</value></member>"
		call vdi_create "<value>8388608</value><value>root</value><value/>" "<member><name>vdi_uuid</name><value>${U}1</value></member><member><name>vdi_sm_config</name><value><struct><member><name>type</name><value>vhd</value></member></struct></value></member>" | grep >/dev/null "${U}1"
		# Nobody said which format: VHD; with one it is that.
		for asked in 'type ' 'type raw' 'vdi_type aio'; do
			call vdi_create "<value>2097152</value><value/><value/>" "<member><name>vdi_uuid</name><value>${U}6</value></member><member><name>vdi_sm_config</name><value><struct>$([ "$asked" = 'type ' ] || echo "<member><name>${asked% *}</name><value>${asked#* }</value></member>")</struct></value></member>" | grep >/dev/null "${U}6"
			is ".vdi.format == \"$([ "$asked" = 'type ' ] && echo vhd || echo raw)\"" sm vdi show ${U}6
			sm vdi delete ${U}6
		done
		call vdi_snapshot "" "$vdi" >"$T/reply"
		snap=$(grep -o '<name>uuid</name><value><string>[^<]*' "$T/reply" | sed 's/.*>//')
		grep -q "<name>location</name><value><string>$snap<" "$T/reply"
		is '.vdi.snapshot_of == "'${U}1'" and .vdi.name == ""' sm vdi show $snap
		base=$(sm vdi show $snap --json | jq -r .vdi.parent)
		# Single: what it was is the answer, hidden; the disk goes on.  Nothing was written: itself.
		call vdi_snapshot "" "$vdi<member><name>driver_params</name><value><struct><member><name>type</name><value>single</value></member></struct></value></member>" | grep >/dev/null "${U}1"
		call vdi_clone "" "$vdi" | grep >/dev/null '<name>uuid</name>'
		call vdi_snapshot "" "<member><name>vdi_uuid</name><value>$base</value></member>" | grep >/dev/null '<int>82</int>.*inner node'
		call vdi_clone "" "<member><name>vdi_uuid</name><value>$base</value></member>" | grep >/dev/null '<int>81</int>.*inner node'
		call vdi_delete "" "<member><name>vdi_uuid</name><value>$base</value></member>" | grep >/dev/null '<int>80</int>'
		# Revert: the disk's own image is replaced; with a reference only xapi could say which.
		before=$(stat -c %i ${U}1.vhd)
		call vdi_revert "<value>${U}1</value>" "<member><name>vdi_uuid</name><value>$snap</value></member>" | grep >/dev/null '<nil/>'
		test "$(stat -c %i ${U}1.vhd)" != "$before"
		call vdi_revert "<value>OpaqueRef:x</value>" "<member><name>vdi_uuid</name><value>$snap</value></member>" | grep >/dev/null "<int>1</int>.*OpaqueRef:x"
		# A raw disk turns into a VHD, which can be attached as well.
		sm vdi create plain --sr S --size 1M --format raw --uuid ${U}7
		call vdi_clone "" "<member><name>vdi_uuid</name><value>${U}7</value></member>" | grep >/dev/null '<name>uuid</name>'
		# 2007
		d="<dconf><location>$T/sr</location></dconf>"
		sm vdi_snapshot -t file -d "$d" $sr ${U}1 ${U}8
		sm vdi_clone -t file -d "$d" $sr ${U}1 ${U}9
		sm vdi_get_params -t file -d "$d" $sr ${U}8 | grep >/dev/null "(type vhd) (parent $base) (children ()).*(read_only 1)"
		status=0; sm vdi_clone -t file -d "$d" $sr ${U}1 ${U}9 2>/dev/null || status=$?
		test $status -eq 103
		sm sr_get_params -t file -d "$d" $sr | grep >/dev/null "${U}8" 
		! sm sr_get_params -t file -d "$d" $sr | grep >/dev/null "$base"
	END
}

@test "SMAPIv1: requests as xapi sends them, answers to the byte" {
	export DATA=$BATS_TEST_DIRNAME/../data/smapi1
	ns <<-'END'
		sm sr destroy S
		SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
		sm sr create S --type file --dconf location="$T/sr" --uuid $SR
		sm vdi create root --sr S --size 8M --format vhd --uuid $VDI
		location="<member><name>location</name><value>$T/sr</value></member>"
		doc() { sed "s|<name>SRmaster</name><value>true</value></member>|&$location|" "$DATA/$1.call"; }
		for verb in vdi_snapshot vdi_clone; do
			sm vdi list --sr S --minimal | tr , '\n' | sort >"$T/before"
			FileSR "$(doc $verb)" >"$T/reply"
			copy=$(sm vdi list --sr S --minimal | tr , '\n' | sort | comm -13 "$T/before" -)
			sed "s/@COPY@/$copy/g" "$DATA/$verb.FileSR" | diff - "$T/reply"
		done
		# A reference is xapi's to resolve, and xapi is not here.
		FileSR "$(doc vdi_compose)" | grep >/dev/null '<int>1</int>.*OpaqueRef:'
	END
}

@test "two disks that are one file: nothing is written to either" {
	ns <<-'END'
		sm vdi create root --sr S --size 8M --format vhd --uuid ${U}1
		sm vdi create data --sr S --size 8M --format raw --uuid ${U}3
		head -c 8M /dev/urandom >"$T/rnd.raw"
		sm image convert "$T/rnd.raw" ${U}1.vhd
		ln ${U}1.vhd "$T/kept"			# outside of the SR: nobody's disk
		is '.problems == []' sm sr check S
		ln ${U}1.vhd ${U}2.vhd; ln ${U}3.raw ${U}4.raw
		sum=$(sha256sum <${U}1.vhd)
		sm sr check S --json >"$T/doc" || [ $? -eq 6 ]
		jq -e '[.problems[].object[-1:]] | sort == ["1","2","3","4"]' "$T/doc"
		sm vdi list --sr S --json >"$T/doc" || [ $? -eq 7 ]
		jq -e '(.vdis | length == 4) and (.problems | length == 4) and (.problems | all(.what | test("are one file")))' "$T/doc"
		fails 6 "*1.vhd and *2.vhd are one file*" sm vdi snapshot ${U}1
		fails 6 "*2.vhd and *1.vhd are one file*" sm vdi resize ${U}2 16M
		fails 6 "*3.raw and *4.raw are one file*" sm vdi clone ${U}3
		fails 6 "*4.raw and *3.raw are one file*" sm vdi serve ${U}4 --socket "$T/sock"
		fails 6 "*1.vhd and *2.vhd are one file*" sm vdi serve ${U}1 --socket "$T/sock"
		sm sr scan S || [ $? -eq 7 ]
		test "$(sha256sum <${U}2.vhd)" = "$sum"
		test -z "$(ls -A .sm/tmp)"
		test "$(ls | wc -l)" -eq 4
		# The way out, and all is as ever.
		sm vdi delete ${U}2
		# What is undone does not hide why.
		fails 2 "*make ${U}1.vhd*" bash -c "trap '' XFSZ; ulimit -f 2; exec sm vdi snapshot ${U}1"
		test -z "$(ls -A .sm/tmp)"
		sm vdi snapshot ${U}1
	END
}

@test "a snapshot's journal that is not of this time hides nobody's disk" {
	ns <<-'END'
		sm vdi create one --sr S --size 8M --format vhd --uuid ${U}1
		sm vdi create two --sr S --size 8M --format vhd --uuid ${U}2
		printf %s_%s ${U}2 ${U}3 >clone_${U}1		# it stands on no other
		printf %s_ ${U}2 >clone_${U}4			# it is not here
		sm sr scan S
		is '.problems == [] and [.vdis[].hidden] == [false, false]' sm vdi list --sr S
		test -z "$(ls | grep clone || :)"
	END
}

@test "introduce and forget: a disk that lies there is looked at, and nothing is written" {
	ns <<-'END'
		member() { echo "<member><name>$1</name><value>$2</value></member>"; }
		call() {
			FileSR "<methodCall><methodName>$1</methodName><params><param><value><struct>$(member command $1; member args '<array><data/></array>'; member device_config "<struct>$(member location $T/sr)</struct>"; member sr_uuid $sr)$2</struct></value></param></params></methodCall>"
		}
		introduce() { call vdi_introduce "$(member vdi_location "$1"; member new_uuid "$2"; member vdi_sm_config "<struct>${3-}</struct>")"; }
		vector chain3-base ${U}1; vector chain3-mid ${U}2; vector chain3-leaf ${U}3
		rm -r .sm; ls -lAi --time-style=full-iso >"$T/before"
		introduce ${U}3 ${U}3 | grep >/dev/null "<name>location</name><value><string>${U}3</string>.*<name>uuid</name><value><string>${U}3</string>"
		introduce ${U}3 "" "$(member type vhd)" | grep >/dev/null "<string>${U}3</string>"
		introduce ${U}3 ${U}3 "$(member type raw)" | grep >/dev/null '<int>66</int>.*is vhd, not raw'
		introduce ${U}3 ${U}4 | grep >/dev/null '<int>1</int>.*cannot be introduced as'
		introduce ../x.vhd ${U}4 | grep >/dev/null "<int>1</int>.*'../x.vhd'"
		introduce ${U}2 ${U}2 | grep >/dev/null '<int>46</int>.*hidden'
		introduce ${U}9 ${U}9 | grep >/dev/null '<int>46</int>'
		call vdi_forget "$(member vdi_uuid ${U}3)" | grep >/dev/null '<nil/>'
		call vdi_forget "$(member vdi_uuid ${U}9)" | grep >/dev/null '<nil/>'
		ls -lAi --time-style=full-iso | diff "$T/before" -
		# A chain with a hole is no disk.
		mv ${U}1.vhd "$T/away"
		introduce ${U}3 ${U}3 | grep >/dev/null '<fault>'
	END
}

@test "compose: a disk stands on another, which is hidden" {
	ns <<-'END'
		call() {
			FileSR "<methodCall><methodName>vdi_compose</methodName><params><param><value><struct><member><name>host_ref</name><value>OpaqueRef:h</value></member><member><name>command</name><value>vdi_compose</value></member><member><name>args</name><value><array><data><value>$1</value></data></array></value></member><member><name>device_config</name><value><struct><member><name>location</name><value>$T/sr</value></member></struct></value></member><member><name>sr_uuid</name><value>$sr</value></member><member><name>vdi_uuid</name><value>$2</value></member></struct></value></param></params></methodCall>"
		}
		sm vdi create leaf --sr S --size 8M --format vhd --uuid ${U}1
		sm vdi snapshot leaf --uuid ${U}2
		sm vdi delete ${U}2
		old=$(sm vdi show leaf --json | jq -r .vdi.parent)
		sm vdi create data --sr S --size 8M --format vhd --uuid ${U}3
		call ${U}3 ${U}1 | grep >/dev/null '<nil/>'
		is '.vdi.parent == "'${U}3'"' sm vdi show leaf
		is '.vdi.hidden and .vdi.children == ["'${U}1'"]' sm vdi show ${U}3
		test ! -e $old.vhd
		is '.problems == []' sm sr check S
		sm image info ${U}1.vhd --json | jq -e '.parent.path | endswith("'${U}3'.vhd")'
		call ${U}1 ${U}1 | grep >/dev/null '<fault>'
		call ${U}1 ${U}3 | grep >/dev/null '<fault>'
		# Nor may the data change under those that stand on it.
		sm vdi create other --sr S --size 8M --format vhd --uuid ${U}4
		call ${U}4 ${U}3 | grep >/dev/null "inner node"
		is '.vdi.hidden | not' sm vdi show other
	END
}

@test "what a death left of compose: finished, or of no meaning; one that cannot be read is kept" {
	ns <<-'END'
		sm vdi create leaf --sr S --size 8M --format vhd --uuid ${U}1
		sm vdi clone leaf --uuid ${U}2
		sm vdi create data --sr S --size 8M --format vhd --uuid ${U}3
		base=$(sm vdi show leaf --json | jq -r .vdi.parent)
		sm vdi delete ${U}2
		printf %s ${U}1 >compose_${U}1; printf %s ${U}3 >compose_${U}2; printf %s ${U}3 >compose_${U}1.x
		printf x >compose_${U}3; ln -s /etc/shadow compose_${U}4; mkfifo compose_${U}5; mkdir compose_${U}6; ln -s none compose_${U}7
		head -c 1M /dev/zero >compose_${U}8
		sum=$(cat *.vhd | sha256sum)
		sm sr scan S
		test "$(ls -d compose_*)" = "$(printf '%s\n' compose_${U}1.x compose_${U}6)"
		test "$(cat *.vhd | sha256sum)" = "$sum"
		is '[.vdis[] | select(.hidden)] | length == 1' sm vdi list --sr S
		# The parent's id is written again and the parent hidden, if the child names it.
		for j in compose_${U}1 leaf_${U}9; do
			printf %s $base >$j
			strace -qq -o /dev/null -P $j -e trace=%file -e inject=openat:error=EIO sm sr scan S 2>"$T/err" && exit 1
			cat "$T/err"
			grep >/dev/null "read $j" "$T/err"
			test -e $j
			sm sr scan S
			test ! -e $j
		done
		is '.problems == []' sm sr check S
	END
}

@test "what upstream wrote: its chain of three is listed, snapshotted and deleted" {
	ns <<-'END'
		vector chain3-base ${U}1; vector chain3-mid ${U}2; vector chain3-leaf ${U}3
		# Under other names than they call each other, they are found by their ids.
		# An SR of upstream's has no records of ours.
		rm -r .sm
		is '[.vdis[] | [.uuid[-1:], .depth, .hidden]] == [["1",0,true],["2",1,true],["3",2,false]]' sm vdi tree S
		is '.vdi | .name == "" and .format == "vhd" and .parent == "'${U}2'"' sm vdi show ${U}3
		is '.vdi.children == ["'${U}3'"]' sm vdi show ${U}2
		is '(.problems | length) == 3 and (.problems | map(select(.what | test("as no disk here is called"))) | length) == 2' sm sr check S
		cp ${U}3.vhd "$T/leaf"
		sm vdi snapshot ${U}3 --uuid ${U}4
		base=$(sm vdi show ${U}3 --json | jq -r .vdi.parent)
		# Hidden and its checksum, in both footers, and nothing else.
		test "$(cmp -l $base.vhd "$T/leaf" | wc -l)" -le 10
		is '[.vdis[].depth] == [0,1,2,3,3]' sm vdi tree S
		sm vdi delete ${U}3; sm vdi delete ${U}4
		test -z "$(ls)"

		# A resize that upstream died in is undone by the next verb.
		vector jresize-crash-data-moved ${U}5
		xz -dc "$VECTORS/jresize-crash-data-moved.journal.xz" >.journal-${U}5
		vector jresize-crash-end ${U}6
		xz -dc "$VECTORS/jresize-crash-end.journal.xz" >.journal-${U}6
		touch ${U}1.vhd.new
		is '.problems | length == 2' sm vdi list --sr S
		sm sr scan S
		is '.problems == []' sm vdi list --sr S
		test -z "$(ls -A | grep -e journal -e new || :)"
		sm image check ${U}5.vhd; sm image check ${U}6.vhd
		# qemu's are taken too, fixed ones as well.
		vector qemu-dyn-100m ${U}7; vector fixed-3m ${U}8
		size=$(sm vdi show ${U}7 --json | jq .vdi.virtual_size)
		is '.vdi.virtual_size == '$size sm vdi resize ${U}7 $size
		sm vdi snapshot ${U}8
		sm sr check S --repair
		is '.problems == []' sm sr check S
		for v in ${U}5 ${U}6 ${U}7; do sm vdi delete $v; done
	END
}

@test "broken and hostile images: each is told, and the rest are listed" {
	ns <<-'END'
		sm vdi create good --sr S --size 4M --format vhd --uuid ${U}1
		sm vdi snapshot good --uuid ${U}2
		base=$(sm vdi show good --json | jq -r .vdi.parent)
		vector header-badsum ${U}3
		printf x >${U}4.vhd
		ln -s /etc/passwd ${U}5.vhd
		mkfifo ${U}6.vhd
		mkdir ${U}7.vhd
		cp ${U}1.vhd ${U}8.vhd
		# Parents that cannot be: outside of the SR, and one that is nowhere.
		vector chain3-leaf ${U}9
		vector rawp-child ${U}0
		is '(.vdis | length) == 4 and (.problems | length) == 7' sm vdi list --sr S
		is '[.problems[].what | select(test("stands on .(rawp-parent.raw|chain3-mid.vhd)., which cannot be"))] | length == 2' sm vdi list --sr S
		rm ${U}0.vhd
		rm ${U}9.vhd
		fails 7 '*' sm vdi list --sr S
		fails 6 '*' sm vdi show ${U}3
		fails 1 '*' sm vdi snapshot ${U}3 || fails 6 '*' sm vdi snapshot ${U}3
		# One that cannot be read can go, unless somebody stands on it, or may.
		cp $base.vhd "$T/base"; printf x | dd of=$base.vhd bs=1 seek=600 conv=notrunc status=none
		fails 1 "*$base, on which * stands*" sm vdi delete $base --force
		cp "$T/base" $base.vhd
		fails 1 "*${U}3 cannot be read, and neither can*--force*" sm vdi delete ${U}3
		sm vdi delete ${U}3 --force 2>"$T/said"
		grep -q "warning: .*${U}3.*deleted unread" "$T/said"
		rm -rf ${U}[5-7].vhd
		sm vdi delete ${U}4 --sr S
		test ! -e ${U}3.vhd -a ! -e ${U}4.vhd
		# While something cannot be read nothing is taken for garbage.
		printf x >${U}9.vhd
		sm vdi delete ${U}1; sm vdi delete ${U}2; sm vdi delete ${U}8
		test -f $base.vhd
		rm ${U}9.vhd
		is '.problems[0] | .object == "'$base'" and (.what | test("no disk stands on it"))' sm sr check S
		sm sr scan S
		test ! -e $base.vhd
		# A circle, and a parent that is not there.
		sm vdi create a --sr S --size 4M --format vhd --uuid ${U}1
		sm vdi snapshot a --uuid ${U}2
		base=$(sm vdi show a --json | jq -r .vdi.parent)
		cp ${U}1.vhd $base.vhd		# says that it stands on itself
		is '[.problems[].what] | any(test("own ancestor|not the parent"))' sm vdi list --sr S
		sm vdi tree S >/dev/null || [ $? -eq 7 ]
		rm $base.vhd
		is '(.problems | length) == 2 and (.problems | all(.what | test("is not in the SR")))' sm vdi list --sr S
		fails 1 '*parent*' sm vdi snapshot a
		fails 1 "*its parent $base*" sm vdi resize a 8M
		is '.vdi.virtual_size == 4194304' sm vdi show a
		sm vdi delete a
	END
}

@test "sr check --repair: a lost footer, a visible node, what nobody needs" {
	ns <<-'END'
		sm vdi create root --sr S --size 4M --format vhd --uuid ${U}1
		sm vdi snapshot root --uuid ${U}2
		base=$(sm vdi show root --json | jq -r .vdi.parent)
		truncate -s -512 ${U}1.vhd
		is '.problems == []' sm vdi list --sr S
		is '.problems | length == 1 and (.[0].what | test("footer")) and (.[0].repair | length > 0)' sm sr check S
		sm sr check S --repair
		is '.problems == []' sm sr check S
		qemu-img info -f vpc ${U}1.vhd >/dev/null
		# As upstream leaves it when it dies late in a snapshot.
		cp "$base.vhd" "$T/saved"; rm .sm/vdi/$base
		printf '\0' | dd of=$base.vhd bs=1 seek=85 conv=notrunc status=none
		sm image repair $base.vhd 2>/dev/null || :
		printf x >.journal-${U}9
		sm sr check S --repair
		is '.problems == []' sm sr check S
		test ! -e .journal-${U}9
		# A disk that somebody sees is not hidden: with the last that stands on it it would go.
		sm vdi create precious --sr S --size 4M --format vhd --uuid ${U}5
		sm image snapshot ${U}5.vhd ${U}6.vhd
		sm sr check S --repair >"$T/said"
		[[ $(cat "$T/said") == *${U}5*"other disks stand on it"* ]]
		is '[.problems[] | select(.repair)] == []' sm sr check S
		sm vdi delete ${U}6
		is '.vdi.hidden | not' sm vdi show precious
		sm vdi delete precious
		# What has the names of journals and is none stops nobody.
		mkdir .journal-${U}9 clone_${U}9; ln -s /etc/passwd clone_${U}8; printf x >clone_${U}7
		sm sr scan S
		test -d clone_${U}9 -a ! -e clone_${U}7 -a ! -L clone_${U}8
		rmdir .journal-${U}9 clone_${U}9
		# Two volumes of one disk.
		truncate -s 1M ${U}1.raw
		is '.problems | length == 1 and (.[0].what | test("here twice"))' sm vdi list --sr S
		rm ${U}1.raw
		is '.vdi.hidden' sm vdi show $base
	END
}

@test "a chain of 30 gets no longer" {
	ns <<-'END'
		sm vdi create root --sr S --size 4M --format vhd --uuid ${U}1
		for i in $(seq 29); do
			qemu-io -f vpc -c 'write -q -P 7 0 512' ${U}1.vhd
			sm vdi snapshot root s$i >/dev/null
		done
		qemu-io -f vpc -c 'write -q -P 7 0 512' ${U}1.vhd
		fails 1 '*30 levels*' sm vdi snapshot root
		fails 1 '*30 levels*' sm vdi clone root
		is '[.vdis[].depth] | max == 29' sm vdi tree S
		is '.problems == []' sm sr check S
	END
}

@test "a thousand disks are listed by two reads each, many in flight" {
	ns <<-'END'
		sm vdi create one --sr S --size 4M --format vhd --uuid ${U}1
		python3 - "$T/sr" ${U}1 <<-'PY'
			import os, sys, uuid
			d, one = sys.argv[1:]
			data = open(f"{d}/{one}.vhd", "rb").read()
			for i in range(999):
			    open(f"{d}/{uuid.uuid4()}.vhd", "wb").write(data)
		PY
		test "$(sm vdi list --sr S --minimal | tr , '\n' | wc -l)" -eq 1000
		# A sanitizer that looks for leaks does not work under strace.
		ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=pread64,open,openat -o "$T/trace" sm vdi list --sr S --minimal >/dev/null
		test "$(grep -c 'pread64.*, 1536, 0)' "$T/trace")" -eq 1000
		test "$(grep -c 'pread64.*, 512, ' "$T/trace")" -eq 1000
		# The queue is full before the first is read.
		test "$(sed '/pread64.*1536/q' "$T/trace" | grep -c 'openat.*\.vhd"')" -eq 64
	END
}

@test "a copy: sparse, in any SR and format, of a whole chain; who dies on the way leaves nothing" {
	ns <<-'END'
		mkdir "$T/other" && other=$(sm sr create O --type file --dconf location="$T/other")
		r=$(sm vdi create r --sr S --size 32M --format raw)
		dd if=/dev/urandom of="$r.raw" bs=1M count=3 seek=5 conv=notrunc 2>/dev/null
		v=$(sm vdi copy r v --sr O --format vhd)
		[ "$(stat -c %b "$T/other/$v.vhd")" -lt 12000 ]
		sm image convert "$T/other/$v.vhd" "$T/v.raw" && cmp "$T/v.raw" "$r.raw"
		c=$(sm vdi clone v c) && flat=$(sm vdi copy c flat --sr S --format raw) && cmp "$flat.raw" "$r.raw"
		[ "$(stat -c %b "$flat.raw")" -lt 8000 ]
		n=$(sm vdi copy c) && is '.vdi.name == "c copy" and .vdi.parent == null and .vdi.format == "vhd"' sm vdi show "$n"
		sm image convert "$T/other/$n.vhd" "$T/n.raw" && cmp "$T/n.raw" "$r.raw"
		is '.plan | length == 1' sm vdi copy r no --dry-run
		fails 4 '*no such VDI*' sm vdi copy nothing
		fails 2 "*format 'qcow2'*" sm vdi copy r no --format qcow2
		is '.sr.fast_clone == null or .sr.fast_clone == false or .sr.fast_clone == true' sm sr show S

		big=$(sm vdi create big --sr S --size 1G --format raw)
		dd if=/dev/urandom of="$big.raw" bs=1M count=400 conv=notrunc 2>/dev/null
		sm vdi copy big half --sr O & pid=$!
		until grep -qs '^name=half' "$T/other"/.sm/vdi/*; do kill -0 $pid; done
		half=$(grep -l '^name=half' "$T/other"/.sm/vdi/*) && half=${half##*/}
		until [ -s "$T/other/$half.raw" ]; do kill -0 $pid; done
		sm sr scan O && sm gc run O || true	# it is not taken for garbage
		[ -e "$T/other/$half.raw" ]
		kill -9 $pid
		wait $pid || true
		sm sr scan O
		[ ! -e "$T/other/$half.raw" ] && [ ! -e "$T/other/.sm/vdi/$half" ]
		sm sr check S && sm sr check O
	END
}
