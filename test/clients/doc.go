// Package clients holds no Go code: it is the folder of the tests that run
// what docs/clients.md and docs/first-steps.md say, as it stands there, with
// the programs that people have: every command line of every SSH client, and
// every step from two bare machines to a name that follows one of them.
package clients
