package main

import "slices"

// licences are SPDX expressions, each with the modules in whose own files a
// person has read it. "std" is the Go standard library and runtime.
var licences = map[string][]string{
	"Apache-2.0": {
		"github.com/coreos/go-semver",
		"github.com/coreos/go-systemd/v22",
		"github.com/spf13/cobra",
		"go.etcd.io/etcd/api/v3",
		"go.etcd.io/etcd/client/pkg/v3",
		"go.etcd.io/etcd/client/v3",
		"google.golang.org/genproto/googleapis/api",
		"google.golang.org/genproto/googleapis/rpc",
		"google.golang.org/grpc",
	},
	"BSD-3-Clause": {
		"github.com/fsnotify/fsnotify",
		"github.com/gliderlabs/ssh",
		"github.com/golang/protobuf",
		"github.com/grpc-ecosystem/grpc-gateway/v2",
		"github.com/miekg/dns",
		"github.com/spf13/pflag",
		"golang.org/x/crypto",
		"golang.org/x/net",
		"golang.org/x/sync",
		"golang.org/x/sys",
		"golang.org/x/text",
		"google.golang.org/protobuf",
		"std",
	},
	"BSD-3-Clause OR GPL-2.0-only": {
		"kernel.org/pub/linux/libs/security/libcap/psx",
	},
	"MIT": {
		"charm.land/bubbletea/v2",
		"charm.land/lipgloss/v2",
		"github.com/anmitsu/go-shlex",
		"github.com/charmbracelet/colorprofile",
		"github.com/charmbracelet/ultraviolet",
		"github.com/charmbracelet/x/ansi",
		"github.com/charmbracelet/x/term",
		"github.com/charmbracelet/x/termios",
		"github.com/charmbracelet/x/windows",
		"github.com/clipperhouse/displaywidth",
		"github.com/clipperhouse/uax29/v2",
		"github.com/landlock-lsm/go-landlock",
		"github.com/lucasb-eyer/go-colorful",
		"github.com/mattn/go-runewidth",
		"github.com/muesli/cancelreader",
		"github.com/pelletier/go-toml/v2",
		"github.com/rivo/uniseg",
		"github.com/xo/terminfo",
		"go.etcd.io/bbolt",
		"go.uber.org/multierr",
		"go.uber.org/zap",
	},
}

// licenceOf returns a module's licence, or "".
func licenceOf(module string) string {
	for licence, modules := range licences {
		if slices.Contains(modules, module) {
			return licence
		}
	}
	return ""
}
