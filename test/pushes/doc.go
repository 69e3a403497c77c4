// Package pushes holds the tests that both clients have to pass, the script
// under each shell and the one binary: their locks, signals, what happens when a
// newer push comes, and going on in the background. Both share one state folder.
package pushes
