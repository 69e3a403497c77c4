package datafile

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"dnsgate/internal/durable"
)

// A database that was put in its place, but whose folder could not be synced,
// is written again, also where nothing changed.
func TestADatabaseThatIsNotDurable(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "data"), zone)
	target := newTarget(t, fileOptions(root))
	serve(t, target, true)
	os.Remove(filepath.Join(root, "data.cdb"))
	synced := 0
	durable.Step = func(step, path string) {
		switch {
		case filepath.Base(path) != "data.cdb":
		case step == durable.Renamed && synced == 0:
			os.Rename(root, root+".away")
		case step == durable.FolderSynced:
			synced++
		}
	}
	defer func() { durable.Step = nil }()
	if err := target.Publish(context.Background(), nil, false); err == nil {
		t.Fatal("published without a folder")
	}
	os.Rename(root+".away", root)
	synced = 1
	serve(t, target, false)
	if synced != 2 {
		t.Error("published, but not durable")
	}
}
