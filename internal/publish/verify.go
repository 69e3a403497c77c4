package publish

import (
	"context"

	"dnsgate/internal/records"
)

type verifier struct{}

func (v *verifier) check(ctx context.Context, hosts []records.Host, refused HostErrors) error {
	return nil
}
