// Package passcall places the qrexec calls behind the requests of passproto, one
// call for each, and turns the ways in which a call can end into a whole reply or
// a no with the next step to take.
//
//	LIST [SCOPE/]        pass.ListPasswords[+SCOPE+]
//	GET NAME             pass.GetPassword+NAME
//	FIELD NAME FIELD     pass.GetField+NAME__FIELD
//	FIND HOST            pass.FindLogin+HOST
//	INSERT NAME          pass.InsertPassword+NAME, the entry's length and the entry on standard input
//	GENERATE NAME        pass.GeneratePassword+NAME, the options on standard input
//
// Names are spelt as in package entryname. What does not fit into 255 bytes goes on
// standard input where the service reads it there (GET, FIELD), and is refused
// elsewhere. With a scope set, GET and FIELD of its entries call SERVICE+SCOPE+ with
// the name on standard input: one line in dom0 for a whole directory.
package passcall
