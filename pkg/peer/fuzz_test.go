package peer

import (
	"encoding/binary"
	"testing"
)

// The kernel's answers are cut short and changed; only one that has a socket in it
// gives an owner.
func FuzzParseDiag(f *testing.F) {
	whole := make([]byte, inodeAt+8)
	binary.NativeEndian.PutUint32(whole[8:], sequence)
	binary.NativeEndian.PutUint16(whole[4:], 20) // SOCK_DIAG_BY_FAMILY
	binary.NativeEndian.PutUint32(whole[inodeAt:], 7)
	f.Add(whole)
	f.Add(whole[:inodeAt+3])
	f.Add(whole[:16])
	f.Fuzz(func(t *testing.T, answer []byte) {
		o, err := parseDiag(answer)
		if err != nil {
			if o != (Owner{}) {
				t.Errorf("%v, and %+v", err, o)
			}
			return
		}
		if o.Inode == 0 || binary.NativeEndian.Uint32(answer[inodeAt:]) != o.Inode || uint32(o.UID) != binary.NativeEndian.Uint32(answer[uidAt:]) {
			t.Errorf("%+v", o)
		}
	})
}
