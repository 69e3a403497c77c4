// Package sysexits has the exit statuses of sysexits(3) that dnsgate uses, its
// commands as well as its remote ones. 255 is ssh's own and never used.
package sysexits

const (
	Usage       = 64 // the command line is wrong
	Data        = 65 // what was given is wrong
	Unavailable = 69 // the other side cannot be reached
	Software    = 70 // a bug
	IO          = 74 // reading or writing failed
	Temp        = 75 // try again later
	NoPerm      = 77 // not permitted
	Config      = 78 // a file of settings is wrong
)
