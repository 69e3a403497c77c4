package push

import (
	"os"
	"testing"

	"dnsgate/test/rig"
)

func TestStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	rig.Write(t, m.dir+"/state", "", 0o600)
	m.push(t, "203.0.113.7").Expect(t, 74, "name another folder")
	rig.Must(t, os.Remove(m.dir+"/state"))
	rig.Must(t, os.Mkdir(m.dir+"/state", 0o777))
	rig.Must(t, os.Chmod(m.dir+"/state", 0o777))
	m.push(t, "203.0.113.7").Expect(t, 78, "others may write it")
}
