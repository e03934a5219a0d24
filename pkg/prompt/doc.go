// Package prompt asks the person at the screen one question, by zenity or by a
// pinentry.
//
// No way of ending a prompt but the choice of an Allow button is a yes. zenity's
// exit code cannot be trusted with that: 3.44 exits with 0, its yes, when its
// window is destroyed (verified by running). So zenity's buttons are all extra
// buttons, whose label is printed when they are pressed, and only that very line
// together with the exit code that belongs to it counts. The first button has
// the focus: it is Deny.
package prompt
