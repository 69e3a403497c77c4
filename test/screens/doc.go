// Package screens tests "top" as people see it: OpenSSH's client in a terminal of tmux.
// It has no other code.
package screens
