package etcdstore

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"dnsgate/test/etcd"
	"dnsgate/test/storetest"
)

// options are those of a gateway with a prefix and a state folder of its own.
func options(t testing.TB, c *etcd.Cluster) Options {
	return Options{
		Endpoints: c.URLs(), Prefix: fmt.Sprintf("/test/%x/", rand.Uint64()), Name: "here", Timeout: 2500 * time.Millisecond,
		State: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore: it is what every store is. The suite has transactions of a
// thousand hosts, as no command has; they need a higher limit of etcd's.
func TestStore(t *testing.T) {
	cluster := etcd.Start(t, 1, "--max-txn-ops=10000", "--unsafe-no-fsync")
	storetest.Test(t, func(t *testing.T) storetest.Place {
		o := options(t, cluster)
		return storetest.Place{
			Open:    func(t testing.TB) storetest.Store { return openStore(t, o) },
			Restore: func(backup io.Reader) error { return Restore(t.Context(), o, backup) },
		}
	})
}
