//go:build !client

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestKeysDocument runs docs/keys.md as written, but for the folder, for systemd,
// and for --config.
func TestKeysDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	var document strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		document.WriteString(block[1])
	}
	commands := strings.ReplaceAll(document.String(), "/etc/dnsgate", "gate")
	first, second, found := strings.Cut(commands, "systemctl restart dnsgate\n")
	second, third, again := strings.Cut(second, "systemctl restart dnsgate\n")
	if !found || !again || third != "" {
		t.Fatal("the document does not restart the gateway twice, and end with that")
	}
	const prelude = `set -e
dnsgate() {
	command=$1
	shift
	"$(which dnsgate)" "$command" --config dnsgate.toml "$@"
}
`
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/keys_document.txtar"},
		Setup: func(env *testscript.Env) error {
			s := &script{work: env.WorkDir}
			env.Values[scriptKey{}] = s
			env.Defer(s.end)
			for name, part := range map[string]string{"first.sh": first, "second.sh": "cd gate\n" + second} {
				if err := os.WriteFile(env.WorkDir+"/"+name, []byte(prelude+part), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "keygen": keygen, "authorize": authorize, "serve": serveScript, "shutdown": shutdown,
			"gate": gateScript, "answers": answers, "until": until, "await": await,
		},
	})
}
