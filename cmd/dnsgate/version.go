package main

import "runtime/debug"

// release is the version that packaging/build names.
var release string

// version is release, or else what the Go toolchain recorded: a tag, or a
// commit's time and number.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
