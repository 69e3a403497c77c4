//go:build !client

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// recipePrelude has the document's commands mean this test's gateway.
const recipePrelude = `set -e
dnsgate() {
	command=$1
	shift
	"$(which dnsgate)" "$command" --config $WORK/gate/dnsgate.toml "$@"
}
ssh() {
	command ssh -F $WORK/recipes_config "$@"
}
`

var (
	section  = regexp.MustCompile(`(?m)^## `)
	notWord  = regexp.MustCompile(`[^a-z0-9]+`)
	anyBlock = regexp.MustCompile("(?s)```(sh)?\n(.*?)```")
	service  = regexp.MustCompile(`(?m)^systemctl .*\n`)
)

// TestRecipes runs docs/recipes.md as written, but for folders, names, the port and
// systemd: testdata/recipes.txtar starts and stops the gateway where the document
// says systemctl, and looks at what came of it. A heading's shell is in files of its
// first words, numbered: a new one for each block and after each systemctl. Other
// blocks are files NAME.N.conf.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/recipes.txtar"},
		Setup: func(env *testscript.Env) error {
			s := &script{work: env.WorkDir}
			env.Values[scriptKey{}] = s
			env.Defer(s.end)
			places := strings.NewReplacer("/etc/dnsgate", env.WorkDir+"/gate", "/root/dnsgate.tar", env.WorkDir+"/dnsgate.tar",
				"/var/backups", env.WorkDir, "ns2.example.com", "192.0.2.54", "-p 2222", "-p $PORT")
			for _, part := range section.Split(string(text), -1)[1:] {
				heading, body, _ := strings.Cut(part, "\n")
				slug := strings.Trim(notWord.ReplaceAllString(strings.ToLower(heading), "-"), "-")
				number, files := 0, 0
				for _, block := range anyBlock.FindAllStringSubmatch(body, -1) {
					if block[1] == "" {
						files++
						name := filepath.Join(env.WorkDir, fmt.Sprintf("%s.%d.conf", slug, files))
						if err := os.WriteFile(name, []byte(block[2]), 0o644); err != nil {
							return err
						}
						continue
					}
					for _, commands := range service.Split(block[2], -1) {
						if commands == "" {
							continue
						}
						number++
						name := filepath.Join(env.WorkDir, fmt.Sprintf("%s.%d.sh", slug, number))
						if err := os.WriteFile(name, []byte(recipePrelude+places.Replace(commands)), 0o644); err != nil {
							return err
						}
					}
				}
			}
			return nil
		},
		Condition: func(string) (bool, error) { return os.Geteuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "keygen": keygen, "authorize": authorize, "serve": serveScript, "shutdown": shutdown,
			"gate": gateScript, "answers": answers, "until": until, "await": await, "netns": netns, "recipe": recipe,
		},
	})
}

// recipe runs a numbered part of the document in the script's network.
func recipe(ts *testscript.TestScript, _ bool, args []string) {
	words := scriptOf(ts).within("sh", ts.MkAbs(args[0]+".sh"))
	ts.Check(ts.Exec(words[0], words[1:]...))
}
