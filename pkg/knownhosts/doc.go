// Package knownhosts tells by which names the vault itself knows a host key. It
// reads the vault's known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)
// backwards: from key to names.
//
// Names are normalised as ssh looks them up: in lower case, "NAME" for port 22
// and "[NAME]:PORT" for others. Keys are compared as blobs, byte by byte. A line
// that cannot be read is skipped and counted, as in OpenSSH; the rest counts.
package knownhosts
