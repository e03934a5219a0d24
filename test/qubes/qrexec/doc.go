// Package qrexec emulates Qubes OS qrexec for the test bench and the demo: the
// client that qubes run (qrexec-client-vm), the agent in every qube, and dom0,
// which judges by real policy files (package policy) and joins two qubes.
//
// One binary, test/qubes/cmd/qrexec, plays all roles; Main is that program.
//
//	qrexec-client-vm [options] TARGET SERVICE[+ARG] [PROGRAM [ARG...]]
//	qrexec agent --control PATH --socket PATH [--session gui|none|auto] …
//	qrexec dom0 --dir DIR --policy DIR[:DIR] --qubes FILE
//	qrexec ctl --dir DIR VERB …
//
// # What is emulated
//
// Sources: QubesOS/qubes-core-qrexec, branch release4.3 (4.3.12).
//
//   - agent/qrexec-client-vm.c: options, sequence, exit codes, local program.
//   - libqrexec/process_io.c, remote.c, write-stdin.c: which end of file reaches
//     whom, back-pressure, O_NONBLOCK left on the caller's descriptors, blocking
//     stderr (package internal/pump).
//   - libqrexec/exec.c, toml.c, agent/qrexec-agent.c, qrexec-agent-data.c,
//     qrexec-fork-server.c: look-up of services, rpc-config, sockets, /dev/tcp,
//     environment, login shell without a GUI session (package agent).
//   - daemon/qrexec-daemon.c: sanitising of names, 128 calls at once
//     (packages internal/wire and dom0).
//   - qrexec/policy/parser.py: package test/qubes/policy.
//   - releases 4.1 and 4.2 where they differ in the qube (agent --release).
//
// # What is not
//
// Xen: a call's channel is a socket pair, so times, ring sizes and the limits of
// xenstored are not real (ctl limits --xen plays the last). Services in dom0,
// RemoteVMs and calls from dom0. A client started with descriptor 0, 1 or 2
// closed: the Go runtime opens /dev/null there before we run, so the call goes on
// where the real one gives 125. PAM: without a GUI session XDG_RUNTIME_DIR is set
// if the directory exists, and nothing else of pam_systemd's.
//
// Two descriptors per call that the real thing has not, the lifelines, tell dom0
// that a side is gone and its exit code, and let dom0 cut the call.
package qrexec
