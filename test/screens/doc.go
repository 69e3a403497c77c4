// Package screens holds no Go code but tests: of "top" as people see it, with
// OpenSSH's client in a terminal of tmux.
package screens
