package datafile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
)

func TestCheckFindsWhatPublishWould(t *testing.T) {
	for name, c := range map[string]struct {
		how    string
		files  map[string]string
		faults []string
	}{
		"clean":            {"file", map[string]string{"data": zone}, nil},
		"clean section":    {"section", map[string]string{"data": emptySection}, nil},
		"a broken source":  {"file", map[string]string{"data": zone + "?\n"}, []string{"/data:3: unrecognized"}},
		"a missing source": {"file", nil, []string{"/data does not exist"}},
		"no markers":       {"section", map[string]string{"data": zone}, []string{"/data:3: there is no line"}},
		"both": {"section", map[string]string{"data": sectionStart + "\n?\n"},
			[]string{"/data:3: there is no line", "/data:2: unrecognized"}},
		"a folder":           {"file", map[string]string{"data/x": zone}, []string{"sources[0]: "}},
		"nothing to rewrite": {"rewrite", nil, []string{"path: there is no data file ", "/data does not exist"}},
		"no folder":          {"hosts", map[string]string{"data": zone}, []string{"/data is a file, and hosts needs a folder"}},
		"path is a source":   {"file is data", map[string]string{"data": zone}, []string{"/data, which is among sources too"}},
		"no writer":          {"append", nil, []string{`write is "append"`}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, content := range c.files {
				write(t, filepath.Join(root, file), content)
			}
			o := Options{Root: root, Write: c.how, Path: "data", Sources: []string{"data"}}
			switch c.how {
			case "file":
				o.Path = "dnsgate"
			case "file is data":
				o.Write = "file"
			}
			before := snapshot(t, root)
			faults, _ := Check(o, nil, durable.AccountOf(root))
			if len(faults) != len(c.faults) {
				t.Fatalf("got %v", faults)
			}
			for i, want := range c.faults {
				if got := fmt.Sprint(faults[i]); !strings.Contains(got, want) {
					t.Errorf("got %s, not %s", got, want)
				}
			}
			if after := snapshot(t, root); after != before {
				t.Error("checking changed something")
			}
		})
	}
}

// tinydns answers nothing at all where it has no zone: check must say so.
func TestCheckKnowsWhatIsServed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), ".Example.com:192.0.2.1:a\nZpart.test:a.part.test:b.part.test\n+home.plain.test:192.0.2.2\n")
	write(t, filepath.Join(root, "more"), "&sub.test:192.0.2.1:a\n=*.wild.test:192.0.2.1\n")
	o := Options{Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data", "more"}}
	unserved := func(names ...records.Name) (unserved []records.Name) {
		t.Helper()
		faults, zones := Check(o, names, durable.AccountOf(root))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return slices.DeleteFunc(names, func(n records.Name) bool { return zones.Lacks(n) == "" })
	}
	want := []records.Name{"x.sub.test", "home.part.test", "home.plain.test", "x.wild.test", "notexample.com", "com"}
	if got := unserved(append(slices.Clone(want), "home.example.com", "example.com", "a.b.example.com", "*.example.com")...); !slices.Equal(got, want) {
		t.Errorf("unserved are %v, not %v", got, want)
	}
	write(t, filepath.Join(root, "more"), ".:192.0.2.1:a\n")
	if got := unserved(want...); len(got) > 0 {
		t.Errorf("with the root zone, unserved are %v", got)
	}
}

func TestCheckAsksWhoMayReplaceTheDatabase(t *testing.T) {
	root := t.TempDir()
	db := filepath.Join(root, database)
	self := durable.AccountOf(root)
	if err := checkReplace(db, self); err != nil {
		t.Error(err)
	}
	write(t, db, "")
	if err := checkReplace(db, self); err != nil {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		return // may write anywhere
	}
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o755)
	if err := checkReplace(db, self); err == nil || !strings.Contains(err.Error(), "cannot write to this folder") {
		t.Errorf("a folder that is read-only: %v", err)
	}
}

// TestCheckAsksForTheGroup: a file that serve replaces keeps its group too, which
// only root, or a member of the group, can give it. Asked by root, the account is
// that of the folder state.
func TestCheckAsksForTheGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	const nobody = 65534
	state, root := t.TempDir(), t.TempDir()
	own := func(path string, uid, gid int) {
		t.Helper()
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	own(state, nobody, nobody)
	write(t, filepath.Join(root, "data"), zone)
	db := filepath.Join(root, "data.cdb")
	write(t, db, "")
	o := Options{Root: root, Write: "file", Path: "dnsgate", Sources: []string{"data"}}
	for _, c := range []struct {
		folder, uid, gid int // of root, and of data.cdb
		want             []string
	}{
		{0, nobody, nobody, []string{"nobody:nogroup cannot write to this folder; run: chown nobody:nogroup " + root}},
		{nobody, 0, 0, []string{"data.cdb: it belongs to root:root, and nobody:nogroup could not", "run: chown nobody:nogroup " + db}},
		{nobody, nobody, 0, []string{"it belongs to nobody:root", "run: chown nobody:nogroup " + db}},
		{nobody, nobody, nobody, nil},
	} {
		own(root, c.folder, c.folder)
		own(db, c.uid, c.gid)
		faults, _ := Check(o, nil, durable.AccountOf(state))
		got := fmt.Sprint(faults)
		if (c.want == nil) != (len(faults) == 0) {
			t.Errorf("%+v: got %s", c, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%+v: got %s", c, got)
			}
		}
	}
}
