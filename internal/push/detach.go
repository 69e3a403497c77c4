package push

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"dnsgate/internal/sysexits"
)

// parentsID is the environment variable by which a push in the background
// knows which one it is: its parent has claimed the job, in the order of
// events.
const parentsID = "DNSGATE_PUSH_ID"

func fromParent() (id string, background bool) {
	id = os.Getenv(parentsID)
	os.Unsetenv(parentsID) // not for programs that give the address
	return id, id != "" && strings.Trim(id, "0123456789.") == ""
}

// detach runs this program again, in the background, to go on with a push.
func detach(id string) error {
	program, err := os.Executable()
	if err != nil {
		return failure(sysexits.IO, "going to the background: %w", err)
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), parentsID+"="+id)
	cmd.Dir = filepath.VolumeName(program) + string(filepath.Separator)
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return failure(sysexits.IO, "going to the background: %w", err)
	}
	return cmd.Process.Release()
}
