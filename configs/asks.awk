# SPDX-License-Identifier: LGPL-2.1-or-later
# The dependencies of an object, from what the compiler noted in its .d: not on the
# configuration as a whole but on the options that its files name.
#	awk -v stamps=O/include/config -f asks.awk OBJECT.d
function read_names(file,  line) {
	while ((getline line <file) > 0)
		while (match(line, /CONFIG_[A-Z0-9_]+/)) {
			if (RSTART == 1 || substr(line, RSTART - 1, 1) !~ /[A-Za-z0-9_]/)
				names[substr(line, RSTART, RLENGTH)]
			line = substr(line, RSTART + RLENGTH)
		}
	close(file)
}
# "…/autoconf.h" goes, as a dependency of the first rule and as an empty rule of its own.
NR == 1 { object = $1 }
{
	asks = asks || /\/autoconf\.h/
	if (!done)
		for (i = 1; i <= NF; i++)
			if ($i !~ /:$/ && $i != "\\" && $i !~ /\/autoconf\.h$/)
				files[$i]
	done = done || !/\\$/
	if (/\/autoconf\.h:$/)
		next
	gsub(/[^ ]*\/autoconf\.h/, "")
	print
}
END {
	if (!asks)
		exit
	for (f in files)
		read_names(f)
	printf "%s %s/.symbols", object, stamps
	for (n in names) {
		if ((getline line <(stamps "/" n)) >= 0)
			printf " %s/%s", stamps, n
		close(stamps "/" n)
	}
	print ""
}
