// Package audit keeps the second copy of the vault's log: an append-only file
// of JSON lines in the user's state directory, which survives the vault's
// restart, and in which later changes show.
//
//	~/.local/state/splitvault/audit.jsonl     the newest lines
//	~/.local/state/splitvault/audit.1.jsonl   those before, up to audit.4.jsonl
//
// Each line has a time, a number that grows by one, the daemon, the level, the
// message, the fields of package journal and no others, and prev: the SHA-256 of
// the bytes from the start of the last whole line before it up to the newline in
// front of it. That is the line before, and, where a writer died in the middle of
// a line, the fragment too: what a fragment was cannot be changed later either.
//
// The chain alone shows accidents. Who can write the file can write a new chain.
// So the hash of a line (the head) goes to the journal at every hundredth line,
// and with the first line more than ten minutes after the last: such an anchor
// shows any change of the lines up to it, as long as the journal can be read and
// was not changed as well.
//
// Many processes write at once, each a few lines, under flock(2). A guard that
// is confined can open nothing any more and needs no more than pread, write,
// pwrite, flock and the clock on what [Open] opened. So rotation is done by Open
// and keeps the file itself: its lines are copied to audit.1.jsonl, and it is
// emptied under the lock, so that processes which have it open go on in it.
package audit
