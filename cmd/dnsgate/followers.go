//go:build linux && !client

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/command"
	"dnsgate/internal/config"
	"dnsgate/internal/follow"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
)

// storeID is the name of a store. A store without one gets one for this process; when
// the name changes, followers take the whole.
func storeID(s records.Store) (string, error) {
	if named, ok := s.(interface {
		ID(context.Context) (string, error)
	}); ok {
		return named.ID(context.Background())
	}
	return rand.Text(), nil
}

// requiring is the Publishers of a gateway that says good once enough followers
// serve a change too.
type requiring struct {
	command.Publishers
	followers *follow.Server
	required  func() config.Followers
}

// Wait implements command.Publishers. The followers' time begins with the local
// publication, so ctx ends it only when the command is to stop.
func (r requiring) Wait(ctx context.Context, names []records.Name, revision uint64) error {
	err := r.Publishers.Wait(ctx, names, revision)
	required := r.required()
	if err != nil || revision == 0 || required.Require == 0 {
		return err
	}
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), required.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})()
	return r.followers.Wait(longer, names, revision, required.Require)
}

// warnOfFewFollowers warns of names that too few lines cover.
func warnOfFewFollowers(cfg *config.Config, grants []authkeys.Grant, warn func(string)) {
	require := cfg.Followers.Require
	if require == 0 {
		return
	}
	var lines []follow.Names
	for _, g := range grants {
		if g.Follow {
			lines = append(lines, follow.NewNames(g.Hosts, g.Suffixes))
		}
	}
	for _, g := range grants {
		if g.Follow {
			continue
		}
		names := slices.Clone(g.Hosts)
		for _, suffix := range g.Suffixes {
			names = append(names, "any."+suffix)
		}
		names = slices.DeleteFunc(names, func(name records.Name) bool {
			n := 0
			for _, line := range lines {
				if line.Has(name) {
					n++
				}
			}
			return n >= require
		})
		if len(names) > 0 {
			warn(fmt.Sprintf("%s:%d: warning: fewer than %d lines of dnsgate follow cover %s, so its updates are dnserr",
				cfg.AuthorizedKeys, g.Line, require, records.First(names, 5, ", ")))
		}
	}
}

// checkFollower tells every fault of a follower's configuration.
func checkFollower(configFile string, cfg *config.Config, tell func(any)) {
	if err := followable(configFile, cfg); err != nil {
		tell(err)
	}
	if _, _, err := followIdentity(cfg); err != nil {
		tell(err)
	}
	if err := boltstore.Check(cfg.State); err != nil {
		tell(err)
	}
	checkTargets(cfg, nil, tell)
}
