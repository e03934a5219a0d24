// Package xwindow tells when a window can be seen on an X display of this machine.
//
// It speaks the few requests of the X protocol that this takes (X Window System
// Protocol, X Version 11, chapters 8 and 9) with the user's own X server: a library
// for all of it would be many times the size of the program that needs this.
package xwindow
