package push

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"

	"dnsgate/internal/sysexits"
)

// ask sends a command and checks the answer. The answer must have a line for each of
// hosts, in their order. If hosts is empty, the gateway chooses the hosts, each once.
// ask returns nil if every line is good or nochg, a *Failure that mayPass if a later
// try can help, and another *Failure otherwise.
func (p *push) ask(ctx context.Context, way family, hosts []string, words ...string) error {
	command := strings.Join(words, " ")
	if len(command) > maxCommand {
		return failure(sysexits.Config, "the command is longer than %d bytes; use fewer hosts in one file", maxCommand)
	}
	gateway, port := p.conf.Gateway, p.conf.Port
	p.talk.step("sending %q to %s port %d", command, gateway, port)
	answer, err := p.client.run(ctx, way, command)
	switch {
	case errors.Is(err, errHostKey):
		return failure(sysexits.Config, "%s port %d: the host key is not the one in %s: %s", gateway, port, p.conf.KnownHosts, explain(answer, err))
	case errors.Is(err, errNoLogin):
		return failure(sysexits.NoPerm, "%s port %d does not accept the key %s: %s", gateway, port, p.client.keyName(), explain(answer, err))
	case isTimeout(err):
		return p.passing(ctx, "%s port %d: no answer in time", gateway, port)
	case errors.Is(err, errTooLong):
		return p.noGateway(answer, err)
	case err != nil:
		return p.passing(ctx, "%s port %d cannot be reached: %s", gateway, port, explain(answer, err))
	}
	switch answer.status {
	case 0:
		acknowledged := strings.Split(strings.TrimSuffix(answer.stdout, "\n"), "\n")
		if !isAcknowledgement(acknowledged, hosts) {
			return p.noGateway(answer, nil)
		}
		p.talk.reply(acknowledged)
		return nil
	case 64, 65, 69, 70, 74, 77, 78:
		return failure(answer.status, "%s refused: %s", gateway, explain(answer, nil))
	case sysexits.Temp:
		p.insist = true
		return p.passing(ctx, "%s: %s", gateway, explain(answer, nil))
	}
	return p.noGateway(answer, nil)
}

func (p *push) noGateway(answer reply, err error) error {
	return failure(sysexits.Unavailable, "%s answered as no dnsgate gateway does, with status %d: %q", p.conf.Gateway, answer.status, explain(answer, err))
}

func (k *client) keyName() string {
	if k.agent {
		return "of the agent"
	}
	return k.conf.Key
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &network) && network.Timeout()
}

func isAcknowledgement(answered, hosts []string) bool {
	seen := make(map[string]bool)
	for i, line := range answered {
		if !isPrintable(line) || !strings.HasPrefix(line, "good ") && !strings.HasPrefix(line, "nochg ") {
			return false
		}
		host := strings.ToLower(line[strings.LastIndexByte(line, ' ')+1:])
		if seen[host] || len(hosts) > i && host != strings.ToLower(strings.TrimSuffix(hosts[i], ".")) {
			return false
		}
		seen[host] = true
	}
	return len(hosts) == 0 || len(hosts) == len(answered)
}

// explain returns, fit to be shown, the reply's first line, or the last one
// of stderr, or else what went wrong on our side.
func explain(answer reply, err error) string {
	first, _, _ := strings.Cut(answer.stdout, "\n")
	said := strings.TrimSpace(answer.stderr)
	last := said[strings.LastIndexByte(said, '\n')+1:]
	switch {
	case first != "":
		return shown(first)
	case last != "":
		return shown(last)
	case err != nil:
		return shown(strings.TrimPrefix(err.Error(), "ssh: "))
	}
	return "it said nothing"
}
