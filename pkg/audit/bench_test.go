package audit_test

import (
	"fmt"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

// What a line costs a decision.
func BenchmarkRecord(b *testing.B) {
	p := newPlace(b)
	log := p.open(b, audit.Options{Qube: "work"})
	fields := logrus.Fields{
		journal.Service: "qubes.Ssh", journal.Qube: "work", journal.Key: "SHA256:ZtH0fgbSvpWcAUkIsJoy/bRmsq15HAJGivJkRvBb+iw",
		journal.Purpose: `"login"`, journal.User: `"git"`, journal.Host: `"github.com"`, journal.Verdict: "allow",
	}
	for b.Loop() {
		if err := log.Record(fields, "signed", logrus.InfoLevel); err != nil {
			b.Fatal(err)
		}
	}
}

// What a call costs before its first byte is read.
func BenchmarkOpen(b *testing.B) {
	p := newPlace(b)
	for b.Loop() {
		log, err := audit.Open(audit.Options{Daemon: "ssh-guard", Qube: "work", Getenv: p.getenv})
		if err != nil {
			b.Fatal(err)
		}
		log.Close()
	}
}

// What the call costs that finds the file full: it copies 16 MiB.
func BenchmarkRotate(b *testing.B) {
	p := newPlace(b)
	fields := logrus.Fields{journal.Cause: fmt.Sprintf("%04000d", 0)}
	log := p.open(b, audit.Options{})
	for b.Loop() {
		b.StopTimer()
		for range audit.DefaultCap/4000 + 1 {
			if err := log.Record(fields, "signed", logrus.InfoLevel); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		rotating := p.open(b, audit.Options{})
		rotating.Close()
	}
}
