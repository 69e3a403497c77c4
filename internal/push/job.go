package push

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/sysexits"
)

// Options are what the command line adds to push.conf.
type Options struct {
	Config     string   // path of push.conf
	IPv4, IPv6 bool     // this family only
	Hosts      []string // in place of push.conf's
	Peer       bool     // one of these four, in place of push.conf's addresses
	Interface  string
	File       string
	Addresses  []string
	Offers     []string // addresses that count where push.conf says "address argument"
	On         string   // the interface of the event that led to this push
	Offline    bool     // take the hosts' addresses away
	ACME       []string // "add" or "del", a name, a value
	Force      bool     // send even what was acknowledged lately
	DryRun     bool     // ask the gateway what it would do
	Detach     bool     // return at once, go on in the background
	Retry      string   // seconds, in place of push.conf's
	Agent      bool     // sign with the agent at $SSH_AUTH_SOCK
	Watch      bool     // follow the addresses until ctx ends
}

// action is the remote command of a job.
type action int

const (
	update action = iota
	offline
	acme
)

// job is what arguments and push.conf together ask for.
type job struct {
	conf      Config
	action    action
	families  []family // none: nothing to do
	given     []string // addresses that the caller gave
	challenge []string // the remote command of acme
	force     bool
	dryRun    bool
}

const maxHosts = 100 // in one command, as the gateway has it

func newJob(o Options) (job, error) {
	if err := checkOptions(o); err != nil {
		return job{}, err
	}
	conf, err := readConfig(o.Config)
	if err != nil {
		return job{}, err
	}
	j := job{conf: conf, force: o.Force, dryRun: o.DryRun}
	if conf.Gateway == "" {
		return job{}, failure(sysexits.Config, "%s: no gateway is given; add a line such as: gateway gate.example.com", o.Config)
	}
	j.override(o)
	if len(j.conf.Hosts) > maxHosts {
		return job{}, failure(sysexits.Config, "%s: more than %d hosts; use one file for each %d", o.Config, maxHosts, maxHosts)
	}
	switch {
	case o.Offline:
		j.action = offline
	case o.ACME != nil:
		j.action = acme
		if j.challenge, err = challenge(o.ACME, conf.Aliases); err != nil {
			return job{}, err
		}
	default:
		if err := j.checkGiven(o); err != nil {
			return job{}, err
		}
	}
	j.narrow(o.On)
	return j, nil
}

// checkOptions checks each argument alone, and that they go together.
func checkOptions(o Options) error {
	isUpdate := !o.Offline && o.ACME == nil
	hasSource := o.Peer || o.Interface != "" || o.File != "" || len(o.Addresses) > 0
	switch {
	case !isPath(o.Config):
		return failure(sysexits.Usage, "the configuration's path %q is not absolute, or has odd characters", shown(o.Config))
	case o.Interface != "" && !isInterface(o.Interface):
		return failure(sysexits.Usage, "%q is not an interface's name", shown(o.Interface))
	case o.On != "" && !isInterface(o.On):
		return failure(sysexits.Usage, "%q is not an interface's name", shown(o.On))
	case o.File != "" && !isPath(o.File):
		return failure(sysexits.Usage, "--file needs an absolute path")
	case o.Retry != "" && !isNumber(o.Retry, 0, 86400):
		return failure(sysexits.Usage, "--retry needs a number of seconds up to 86400")
	case len(o.Addresses) > 0 && (o.Peer || o.Interface != "" || o.File != ""):
		return failure(sysexits.Usage, "addresses are given, and told to be found")
	case !isUpdate && (hasSource || o.DryRun):
		action := "--acme"
		if o.Offline {
			action = "--offline"
		}
		return failure(sysexits.Usage, "%s takes no address and no --dry-run", action)
	case o.Watch && (!isUpdate || o.DryRun || o.Detach || len(o.Addresses)+len(o.Offers) > 0 || o.On != ""):
		return failure(sysexits.Usage, "--watch finds the addresses itself, and goes with no other task")
	}
	for _, host := range o.Hosts {
		if !isHostname(strings.TrimPrefix(strings.TrimSuffix(host, "."), "*.")) {
			return failure(sysexits.Data, "%q is not a hostname%s", shown(host), instead(host))
		}
	}
	for _, address := range slices.Concat(o.Addresses, o.Offers) {
		if address == "" {
			return failure(sysexits.Data, "an address is empty")
		}
		if strings.ContainsAny(address, " \t\n\v\f\r") {
			return failure(sysexits.Data, `"%s" is not an address`, shown(address))
		}
	}
	return nil
}

// override puts arguments in the place of what push.conf says.
func (j *job) override(o Options) {
	if len(o.Hosts) > 0 {
		j.conf.Hosts = nil
		for _, host := range o.Hosts {
			j.conf.Hosts = append(j.conf.Hosts, strings.TrimSuffix(host, "."))
		}
	}
	if o.Retry != "" {
		seconds, _ := strconv.Atoi(o.Retry)
		j.conf.Retry = time.Duration(seconds) * time.Second
	}
	var source Source
	switch {
	case len(o.Addresses) > 0:
		source, j.conf.Family = Source{Kind: "argument"}, "both"
	case o.Peer:
		source = Source{Kind: "peer"}
	case o.Interface != "":
		source = Source{"interface", []string{o.Interface}}
	case o.File != "":
		source = Source{"file", []string{o.File}}
	}
	if source.Kind != "" {
		j.conf.Address, j.conf.Address6 = source, Source{}
	}
	if j.given = o.Addresses; len(j.given) == 0 {
		j.given = o.Offers
	}
	for _, f := range []family{4, 6} {
		wanted := j.conf.Family == "both" || j.conf.Family == strconv.Itoa(int(f))
		if only := o.IPv4 != o.IPv6; wanted && (!only || o.IPv6 == (f == 6)) {
			j.families = append(j.families, f)
		}
	}
}

// checkGiven checks the addresses of "address argument" before anything is
// done. An event without one is none for it.
func (j *job) checkGiven(o Options) error {
	if j.conf.Address.Kind != "argument" {
		return nil
	}
	if len(j.given) == 0 {
		if o.On == "" {
			return failure(sysexits.Usage, "%s says \"address argument\", and no address was given", o.Config)
		}
		j.families = nil
	}
	_, err := j.argument()
	return err
}

// narrow drops the families whose address comes from another interface than
// the one that the event was on.
func (j *job) narrow(on string) {
	if on == "" {
		return
	}
	j.families = slices.DeleteFunc(j.families, func(f family) bool {
		source := j.conf.Address
		if f == 6 && j.conf.Address6.Kind != "" {
			source = j.conf.Address6
		}
		return source.Kind == "interface" && source.Words[0] != on
	})
}

// challenge makes a remote command, for the name that the given one has as its
// alias, if it has one.
func challenge(words []string, aliases map[string]string) ([]string, error) {
	do, name, value := words[0], words[1], words[2]
	if do != "add" && do != "del" {
		return nil, failure(sysexits.Usage, "--acme needs add or del")
	}
	name = challenged(name)
	switch {
	case !isHostname(name):
		return nil, failure(sysexits.Data, "%q is not a hostname%s", shown(name), instead(name))
	case value == "" || !consistsOf(value, "-_.=+/"):
		return nil, failure(sysexits.Data, "the challenge's value is empty or has odd characters")
	case len(value) > 255:
		return nil, failure(sysexits.Data, "the challenge's value is longer than 255 bytes")
	}
	if target, ok := aliases[strings.ToLower(name)]; ok {
		name = target
	}
	return []string{"acme", do, name, value}, nil
}
