package auditlog

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Anchor is the hash of a line as the journal has it.
type Anchor struct {
	Seq  uint64
	Hash string // 64 hexadecimal digits
	Time time.Time
}

// Problem is a place where the file is not as it was written.
type Problem struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Text string `json:"text"`
}

func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	default:
		return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.Text
	}
}

// Verdict is what the chain and the anchors say of the files.
type Verdict struct {
	Files      int       `json:"files"`
	Lines      int       `json:"lines"`
	First      uint64    `json:"first_seq"`
	Last       uint64    `json:"last_seq"`
	From       time.Time `json:"from,omitzero"`
	To         time.Time `json:"to,omitzero"`
	Fragments  int       `json:"fragments"`  // left by writers that died, and marked by the next
	Unrecorded int       `json:"unrecorded"` // lines that the file did not take, as later lines say
	Anchors    int       `json:"anchors"`    // of the journal, that fit
	Anchored   uint64    `json:"anchored_seq"`
	Problems   []Problem `json:"problems"`
}

// Verify follows the chain through the files and compares it with the anchors.
func Verify(files []File, anchors []Anchor) Verdict {
	v := &verifier{heads: make(map[uint64]string, len(anchors)), places: make(map[uint64]Problem, len(anchors))}
	for _, a := range anchors {
		v.heads[a.Seq] = ""
	}
	for i, f := range files {
		v.file(f, i == len(files)-1)
	}
	v.beginning(files)
	v.compare(anchors)
	v.Files = len(files)
	return v.Verdict
}

type verifier struct {
	Verdict
	begun  bool
	seq    uint64             // of the last whole line
	want   audit.Hash         // what the next line's prev has to be
	heads  map[uint64]string  // hashes of the anchored lines; empty: not found
	places map[uint64]Problem // where these are
}

func (v *verifier) problem(f File, line int, format string, args ...any) {
	v.Problems = append(v.Problems, Problem{f.Name, line, fmt.Sprintf(format, args...)})
}

// file follows the chain through one file.
func (v *verifier) file(f File, newest bool) {
	if len(f.Content) == 0 {
		v.problem(f, 0, "the file is empty, which no daemon leaves behind")
		return
	}
	good, from, damage := -1, 0, position{} // start of the last whole line, where damage begins
	for at, line := range f.lines() {
		if !line.ok {
			if damage.number == 0 {
				damage = at
			}
			continue
		}
		if good >= 0 {
			v.want = sha256.Sum256(f.Content[good : at.start-1])
		}
		v.link(f, at, line.Line)
		if damage.number > 0 {
			v.damage(f, damage, at.start-1, good, line.Line)
			damage = position{}
		}
		good, from = at.start, at.end
		if _, anchored := v.heads[line.Seq]; anchored {
			v.heads[line.Seq] = audit.Hash(sha256.Sum256(f.Content[at.start:at.end])).String()
			v.places[line.Seq] = Problem{File: f.Name, Line: at.number}
		}
	}
	if damage.number > 0 && good >= 0 {
		v.open(f, damage, len(f.Content)-from-1, newest)
	}
	v.carry(f, good)
}

// link checks that a line follows the last one.
func (v *verifier) link(f File, at position, l audit.Line) {
	if v.Lines++; v.Lines == 1 {
		v.First, v.From = l.Seq, l.Time
	}
	switch {
	case !v.begun:
		v.begun = true
		if l.Seq == 1 && l.Prev != (audit.Hash{}) {
			v.problem(f, at.number, "the first line of all follows another one, which is gone")
		}
	case l.Seq != v.seq+1 && l.Prev == v.want:
		v.problem(f, at.number, "line %d follows line %d: a forged number", l.Seq, v.seq)
	case l.Seq > v.seq+1:
		v.problem(f, at.number, "lines %d to %d are missing before it", v.seq+1, l.Seq-1)
	case l.Seq <= v.seq:
		v.problem(f, at.number, "line %d after line %d: moved, or the chain was begun anew", l.Seq, v.seq)
	case l.Prev != v.want:
		v.problem(f, at.number, "line %d does not fit what is before it: one of the two was changed", l.Seq)
	}
	v.seq, v.Last, v.To = l.Seq, l.Seq, l.Time
	if l.Message == audit.MessageMissing {
		if n, err := strconv.Atoi(l.Fields[journal.Count]); err == nil && n > 0 {
			v.Unrecorded += n
		}
	}
}

// damage judges what is no line, between two whole ones: a writer that finds
// such a thing says so in its first line, whose prev covers it.
func (v *verifier) damage(f File, at position, end, good int, next audit.Line) {
	start := at.start
	if good < 0 {
		v.problem(f, at.number, "%d bytes before the first line are damaged", end-start)
		return
	}
	if next.Message != audit.MessageDamaged || next.Fields[journal.Count] != strconv.Itoa(end-start) {
		v.problem(f, at.number, "the line was damaged after it was written")
		return
	}
	v.Fragments++
}

// open judges what is no line at the end of a file: the next writer will mark
// it, if there is one.
func (v *verifier) open(f File, at position, n int, newest bool) {
	if newest {
		v.Fragments++
		return
	}
	v.problem(f, at.number, "the file ends with %d damaged bytes", n)
}

// carry says what the first line of the next file has to follow.
func (v *verifier) carry(f File, good int) {
	if good < 0 {
		v.problem(f, 0, "the file has no whole line")
		v.want, v.seq, v.begun = sha256.Sum256(f.Content), 0, true
		return
	}
	v.want = sha256.Sum256(bytes.TrimSuffix(f.Content[good:], []byte("\n")))
}

// beginning looks whether what is gone from the front was rotated away.
func (v *verifier) beginning(files []File) {
	if v.First > 1 && len(files) <= audit.Keep {
		v.Problems = append(v.Problems, Problem{
			File: files[0].Name,
			Text: fmt.Sprintf("begins with line %d, but only rotation takes lines away, and it keeps %d older files", v.First, audit.Keep),
		})
	}
}

// compare holds the chain against the anchors.
func (v *verifier) compare(anchors []Anchor) {
	anchors = slices.Clone(anchors)
	slices.SortStableFunc(anchors, func(a, b Anchor) int { return a.Time.Compare(b.Time) })
	for _, a := range anchors {
		head := v.heads[a.Seq]
		switch {
		case a.Seq < v.First:
			// Rotated away, or reported as a beginning that is missing.
		case head == "":
			v.Problems = append(v.Problems, Problem{Text: fmt.Sprintf(
				"line %d, of which the journal knows since %s, is gone", a.Seq, a.Time.Local().Format(time.DateTime))})
		case head != a.Hash:
			p := v.places[a.Seq]
			p.Text = fmt.Sprintf("line %d is not the one of which the journal knows since %s: it or a line before it was changed",
				a.Seq, a.Time.Local().Format(time.DateTime))
			v.Problems = append(v.Problems, p)
		default:
			v.Anchors++
			v.Anchored = max(v.Anchored, a.Seq)
		}
	}
}
