package push

import (
	"os"
	"testing"
)

func TestStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	write(t, m.dir+"/state", "", 0o600)
	m.push(t, "203.0.113.7").expect(t, 74, "name another folder")
	must(t, os.Remove(m.dir+"/state"))
	must(t, os.Mkdir(m.dir+"/state", 0o777))
	must(t, os.Chmod(m.dir+"/state", 0o777))
	m.push(t, "203.0.113.7").expect(t, 78, "others may write it")
}
