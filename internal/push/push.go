// Package push is the client: it tells a gateway, over SSH, which addresses
// this machine has now. It does what the shell script hooks/dnsgate-push does,
// from the same push.conf and in the same state folder, with an SSH client of
// its own, so that it also runs where there is neither a shell nor ssh.
//
// It trusts push.conf and the key file, which nobody else may be able to
// change, and the gateway whose host key known_hosts pins. Addresses, replies
// and arguments are checked before they go anywhere, and nothing that is read
// is run by a shell. An address that is missing or bad is an error; only an
// offline command takes an address away.
package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/sysexits"
)

// Failure is why a push failed.
type Failure struct {
	Status int   // of sysexits(3), as hooks/README.md lists them
	Err    error // nil: all has been said
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return fmt.Sprintf("exit status %d", f.Status)
	}
	return f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

func failure(status int, format string, args ...any) *Failure {
	return &Failure{status, fmt.Errorf(format, args...)}
}

// again is a failure that may pass; the user has been told of it.
func again() error { return &Failure{Status: sysexits.Temp} }

// mayPass reports whether trying again can help.
func mayPass(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Status == sysexits.Temp
}

// push is one job: what is to be sent where, and how far that has come.
type push struct {
	job
	talk   *Talk
	state  *state
	client *client

	left    []family  // still to be done
	stale   time.Time // when the first of what was acknowledged is to be sent again
	oneDone bool      // a family was acknowledged
	insist  bool      // the gateway itself asked to try again
}

// Run does what o asks for, tells talk of it, and returns nil or a *Failure. It
// ends early when ctx does, with status 75; with o.Watch that is the only
// end, and no failure.
func Run(ctx context.Context, o Options, talk *Talk) error {
	id, background := fromParent()
	if background {
		talk.background()
	}
	j, err := newJob(o)
	if err != nil {
		return err
	}
	if len(j.families) == 0 && j.action != acme {
		talk.step("nothing to do: %s takes the address from elsewhere", o.Config)
		return nil
	}
	p := &push{job: j, talk: talk}
	if p.state, err = openState(j.conf, id); err != nil {
		return err
	}
	if p.client, err = newClient(j.conf, o.Agent); err != nil {
		return err
	}
	switch {
	case o.Watch:
		return p.watch(ctx)
	case background:
		p.left = slices.Clone(p.families)
	default:
		if err := p.begin(); err != nil {
			return err
		}
	}
	if o.Detach && !background {
		return detach(p.state.id)
	}
	return p.work(ctx)
}

// begin claims the job: older pushes for the same hosts give way.
func (p *push) begin() error {
	p.left, p.stale, p.oneDone, p.insist = slices.Clone(p.families), time.Now().Add(max(p.conf.Fresh, minRenewal)), false, false
	if p.action == acme || p.dryRun {
		return nil
	}
	return p.state.claim(p.left)
}

// work makes attempts until one ends, each time waiting longer, and for no
// longer than the retry time in all.
func (p *push) work(ctx context.Context) error {
	begun := time.Now()
	for delay := firstDelay; ; delay = longer(delay) {
		err := p.attempt(ctx)
		if !mayPass(err) || ctx.Err() != nil {
			return err
		}
		wait := shortened(delay)
		if time.Since(begun)+wait > p.conf.Retry {
			return err
		}
		p.talk.step("trying again in %s", inWords(wait))
		if !p.rest(ctx, wait) {
			p.talk.step("a newer push has taken over")
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

const (
	firstDelay = 2 * time.Second
	lastDelay  = time.Minute
)

func longer(delay time.Duration) time.Duration { return min(2*delay, lastDelay) }

// shortened takes up to a half off a delay, by chance, so that many machines
// that lost a gateway at once do not come back at once.
func shortened(delay time.Duration) time.Duration { return delay - rand.N(delay/2) }

// rest waits, and returns false as soon as a newer push has taken over.
func (p *push) rest(ctx context.Context, length time.Duration) bool {
	for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
		pause.For(ctx, min(time.Second, time.Until(end)))
		if p.action != acme && !slices.ContainsFunc(p.left, p.isNewest) {
			return false
		}
	}
	return true
}

// passing tells of a failure that may pass, unless it is our own ending.
func (p *push) passing(ctx context.Context, format string, args ...any) error {
	if ctx.Err() == nil {
		p.talk.outcome(format, args...)
	}
	return again()
}

func (p *push) isNewest(f family) bool { return p.dryRun || p.state.isNewest(f) }

// attempt sends once what is left to be sent, alone on this machine.
func (p *push) attempt(ctx context.Context) error {
	if err := p.state.lock(ctx); mayPass(err) {
		return p.passing(ctx, "%v", err)
	} else if err != nil {
		return err
	}
	defer p.state.unlock()
	if p.action == acme {
		return p.ask(ctx, anyFamily, p.challenge[2:3], p.challenge...)
	}
	p.left = slices.DeleteFunc(p.left, func(f family) bool { return !p.isNewest(f) })
	if len(p.left) == 0 {
		p.talk.step("a newer push has taken over")
		return nil
	}
	if p.action == offline {
		return p.offline(ctx)
	}
	return p.update(ctx)
}

func (p *push) offline(ctx context.Context) error {
	if err := p.state.forget(p.left); err != nil {
		return err
	}
	words := []string{"offline"}
	if len(p.left) == 1 {
		words = append(words, fmt.Sprintf("-%d", p.left[0]))
	}
	return p.ask(ctx, anyFamily, p.conf.Hosts, append(words, p.conf.Hosts...)...)
}

// update sends the new addresses of the families that are left, and takes each
// family that is done off the list. If both are wanted, one is enough when the
// other has no address here, or no way to the gateway.
func (p *push) update(ctx context.Context) error {
	found, why, err := p.find(ctx)
	if f := (*Failure)(nil); errors.As(err, &f) && f.Status == sysexits.Data {
		return failure(sysexits.Data, "%w; nothing was sent", f.Err)
	} else if err != nil {
		return err
	}
	var literal, peers []family
	for _, f := range slices.Clone(p.left) {
		what := found[f]
		if what == peerAddress {
			peers = append(peers, f)
		} else if at, fresh := p.acknowledgedLately(f, what); fresh {
			p.talk.step("%s was acknowledged %s ago; --force sends it again", what, inWords(time.Since(at)))
			p.doneWith(f)
			if end := at.Add(p.conf.Fresh); end.Before(p.stale) {
				p.stale = end
			}
		} else if what != "" {
			literal = append(literal, f)
		}
	}
	if literal == nil && peers == nil && !p.oneDone {
		p.talk.outcome("%s", why)
	}
	if literal != nil {
		if err := p.send(ctx, anyFamily, literal, found); err != nil {
			return err
		}
	}
	for _, f := range peers {
		if err := p.send(ctx, f, []family{f}, found); err != nil {
			return err
		}
	}
	if len(p.left) == 0 || p.oneDone && !p.insist {
		return nil
	}
	return again()
}

// acknowledgedLately reports whether these addresses need not be sent again.
func (p *push) acknowledgedLately(f family, what string) (at time.Time, fresh bool) {
	at, acked := p.state.acknowledged(f)
	age := time.Since(at)
	return at, !p.force && !p.dryRun && what != "" && what == acked && age >= 0 && age < p.conf.Fresh
}

// send sends the addresses found for some families, in one command. After a failure
// that may pass it returns nil too, and the families stay on the list.
func (p *push) send(ctx context.Context, way family, families []family, found addresses) error {
	words := []string{"update"}
	if p.dryRun {
		words = append(words, "--dry-run")
	} else if err := p.state.forget(families); err != nil {
		return err
	}
	words = append(words, p.conf.Hosts...)
	for _, f := range families {
		words = append(words, found.words(f)...)
	}
	err := p.ask(ctx, way, p.conf.Hosts, words...)
	if mayPass(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range families {
		if found[f] != peerAddress && !p.dryRun {
			if err := p.state.acknowledge(f, found[f]); err != nil {
				return err
			}
		}
		p.doneWith(f)
	}
	return nil
}

func (p *push) doneWith(f family) {
	p.oneDone = true
	p.left = slices.DeleteFunc(p.left, func(o family) bool { return o == f })
}
