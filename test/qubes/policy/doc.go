// Package policy judges qrexec calls the way dom0 of Qubes OS R4.3 does: it
// reads policy directories and says allow, ask or deny for a request. The test
// bench's qrexec emulator decides with it, and policycheck and the tests of
// dom0/ check our own policy text with it.
//
// The behaviour is that of QubesOS/qubes-core-qrexec, branch release4.3,
// qrexec/policy/parser.py (grammar, matching, choices) and
// qrexec/tools/qrexec_policy_exec.py (prompts, notifications). The
// table in vectors_test.go holds verdicts of the real parser 4.3.12; what it
// does not cover is from reading the source.
//
// Not emulated: !compat-4.0 (the pre-4.1 files under /etc/qubes-rpc/policy; a
// directory that uses it does not load), the relaying of calls for RemoteVMs,
// and the window that asks (Verdict.Answer takes a scripted person's answer).
// Where the real parser fails with an internal error, which dom0 turns into a
// refusal, this package refuses too.
//
// The package is part of the test bench: nothing that is shipped imports it.
package policy
