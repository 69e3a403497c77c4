package main
import (
 _ "github.com/gliderlabs/ssh"
 _ "golang.org/x/crypto/ssh"
 _ "github.com/spf13/cobra"
 _ "github.com/pelletier/go-toml/v2"
 _ "go.etcd.io/bbolt"
 _ "github.com/coreos/go-systemd/v22/daemon"
 _ "github.com/coreos/go-systemd/v22/activation"
 _ "github.com/fsnotify/fsnotify"
 _ "github.com/miekg/dns"
 _ "github.com/rogpeppe/go-internal/testscript"
 _ "golang.org/x/sys/unix"
)
func main(){}
