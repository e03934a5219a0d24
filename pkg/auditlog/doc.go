// Package auditlog reads what the daemons logged: the audit files of package
// audit and systemd's journal, each where the other is missing, and both without
// saying anything twice.
package auditlog
