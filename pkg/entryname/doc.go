// Package entryname reads and writes the names of a password store's entries, and
// their spelling in the argument of a qrexec call.
//
// dom0 silently replaces every byte of SERVICE+ARG outside [A-Za-z0-9_.+-] by "_"
// (qubes-core-qrexec, daemon/qrexec-daemon.c, sanitize_name), so that two names
// could become one. The spelling here is one to one in both directions:
//
//	A-Z a-z 0-9 . -    itself
//	/                  +
//	any other byte     _XX, two upper-case hexadecimal digits
//
// Only that spelling is accepted: a second one of the same name would get past
// dom0's rule for the first. "__", which no name can contain, divides ENTRY from
// FIELD; a "+" at the end, which no name has, makes the argument a scope:
// everything below that directory.
//
//	work/aws            work+aws
//	a@b.org             a_40b.org
//	work/aws, its otp   work+aws__otp
//	all below work/     work+
package entryname
