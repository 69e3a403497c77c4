package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// forcedScript is the forced command of a set-up as one finds it: checks,
// a lock, the line exchanged, make. It syncs nothing to the disk.
const forcedScript = `#!/bin/sh
set -eu
host=$1
set -- $SSH_ORIGINAL_COMMAND
[ "$1" = update ] && [ $# = 2 ]
case $2 in *[!0-9.]*) echo badaddr; exit 65;; esac
cd ROOT
exec 9> lock
flock 9
if grep -q "^+$host:$2:" dynamic; then echo "nochg $2 $host"; exit; fi
sed "s/^+$host:.*/+$host:$2:300/" dynamic > dynamic.new
mv dynamic.new dynamic
make -s
echo "good $2 $host"
`

const makefile = `data.cdb: data
	tinydns-data
data: static dynamic
	cat static dynamic > data.new && mv data.new data
`

// forcedCommand makes a tinydns root and the script that updates it.
func forcedCommand(s *scene, folder string) (script string, err error) {
	root := filepath.Join(folder, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	if err := s.staticData(filepath.Join(root, "static")); err != nil {
		return "", err
	}
	if err := s.dynamicData(filepath.Join(root, "dynamic")); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(root, "Makefile"), []byte(makefile), 0o644); err != nil {
		return "", err
	}
	script = filepath.Join(folder, "update")
	return script, os.WriteFile(script, []byte(strings.ReplaceAll(forcedScript, "ROOT", root)), 0o755)
}

const sshdConfig = `ListenAddress %s
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
MaxStartups 1000
PerSourceMaxStartups none
`

func (b *bench) startSSHD(s *scene, folder string) (*server, error) {
	script, err := forcedCommand(s, folder)
	if err != nil {
		return nil, err
	}
	key, err := hostKey(folder)
	if err != nil {
		return nil, err
	}
	home, keys := filepath.Join(folder, "home"), filepath.Join(folder, "authorized_keys")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	if err := s.authorizedKeys(keys, script); err != nil {
		return nil, err
	}
	address := freeAddress()
	config := filepath.Join(folder, "sshd_config")
	if err := os.WriteFile(config, fmt.Appendf(nil, sshdConfig, address, key, keys), 0o644); err != nil {
		return nil, err
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's chroot, as its package makes it
		return nil, err
	}
	p, err := startAtHome(folder, home, "/usr/sbin/sshd", "-D", "-e", "-f", config)
	if err != nil {
		return nil, err
	}
	return newSSHServer("sshd: forced script, make, tinydns-data", p, s, address)
}

func (b *bench) startDropbear(s *scene, folder string) (*server, error) {
	script, err := forcedCommand(s, folder)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(folder, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		return nil, err
	}
	if err := s.authorizedKeys(filepath.Join(home, ".ssh", "authorized_keys"), script); err != nil {
		return nil, err
	}
	key := filepath.Join(folder, "dropbear_key")
	if out, err := exec.Command("dropbearkey", "-t", "ed25519", "-f", key).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("dropbearkey: %w: %s", err, bytes.TrimSpace(out))
	}
	address := freeAddress()
	p, err := startAtHome(folder, home, "dropbear", "-F", "-E", "-s", "-r", key, "-p", address)
	if err != nil {
		return nil, err
	}
	return newSSHServer("dropbear: the same", p, s, address)
}

// startAtHome starts a server in a mount namespace where home is the home of
// the user that logs in: dropbear finds its keys there, and a shell nothing
// that would slow it down.
func startAtHome(folder, home string, argv ...string) (*process, error) {
	return start(folder, append([]string{"unshare", "-m", "sh", "-c",
		`mount --bind "$1" ~ && shift && exec "$@"`, "sh", home}, argv...)...)
}
