package hooks_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// at makes c push to another port.
func at(t *testing.T, c *rig.Client, port string) *rig.Client {
	t.Helper()
	rig.Write(t, c.Config, strings.Replace(c.Read(t, "push.conf"), "port 1\n", "port "+port+"\n", 1), 0o644)
	return c
}

// TestSilentServer checks that clients without a time limit of their own are
// ended.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	rig.Needs(t, "dbclient", "plink", "dropbearkey", "puttygen")
	for _, program := range []string{"dbclient", "plink"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			port, open := rig.Silent(t)
			c := at(t, newClient(t, "dash", "client "+program, "connect_timeout 1"), port)
			convert(t, c.Dir+"/id", program)
			pin(t, c, port)
			c.Push(t, "-v", "203.0.113.7").Expect(t, 75, "no answer in time")
			rig.Wait(t, "the client ends", func() bool { now, _ := open(); return now == 0 })
		})
	}
}

// convert makes an OpenSSH key one of another program's format, in place.
func convert(t *testing.T, key, program string) {
	t.Helper()
	other := key + ".converted"
	cmd := exec.Command("dropbearconvert", "openssh", "dropbear", key, other)
	if program == "plink" {
		cmd = exec.Command("puttygen", key, "-O", "private", "-o", other)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
	rig.Must(t, os.Chmod(other, 0o600))
	rig.Must(t, os.Rename(other, key))
}

// pin puts a made-up host key of c's gateway into known_hosts.
func pin(t *testing.T, c *rig.Client, port string) {
	t.Helper()
	c.Pin(t, "[127.0.0.1]:"+port, c.Read(t, "host.pub"))
}

// TestUnpinned checks that dbclient and plink are not even started for a
// gateway that known_hosts does not have.
func TestUnpinned(t *testing.T) {
	rig.Needs(t, "dbclient", "plink", "dropbearkey", "puttygen")
	eachShell(t, func(t *testing.T, shell string) {
		for _, program := range []string{"dbclient", "plink"} {
			port, open := rig.Silent(t)
			c := at(t, newClient(t, shell, "client "+program), port)
			convert(t, c.Dir+"/id", program)
			pin(t, c, "1")
			c.Push(t, "203.0.113.7").Expect(t, 78, fmt.Sprintf("known_hosts: no key for [127.0.0.1]:%s", port))
			if _, most := open(); most != 0 {
				t.Errorf("%s was started", program)
			}
		}
	})
}
