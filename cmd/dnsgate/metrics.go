//go:build linux && !client

package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"dnsgate/internal/durable"
)

// metricsInterval is how often metrics_file is written; a collector that reads it
// does so about as often.
const metricsInterval = 15 * time.Second

// keepMetricsFile writes metrics_file, where there is one, until ctx ends. Its
// last failure is logged once.
func (d *daemon) keepMetricsFile(ctx context.Context) {
	failure := ""
	for {
		why := ""
		if path := d.current().MetricsFile; path != "" {
			if err := d.writeMetricsFile(ctx, path); err != nil {
				why = err.Error()
			}
		}
		if why != failure && why != "" {
			d.log.Error("metrics_file is not written", "error", why)
		}
		failure = why
		select {
		case <-time.After(metricsInterval):
		case <-ctx.Done():
			return
		}
	}
}

func (d *daemon) writeMetricsFile(ctx context.Context, path string) error {
	var metrics bytes.Buffer
	if err := d.commands.WriteMetrics(ctx, &metrics); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return durable.WriteFile(path, metrics.Bytes(), 0o644)
}
