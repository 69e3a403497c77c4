//go:build !client

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"dnsgate/test/rig"
)

// TestAlertRules has Prometheus read the rules of docs/monitoring.md, and try them.
func TestAlertRules(t *testing.T) {
	rig.Needs(t, "promtool")
	page, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if rules == nil {
		t.Fatal("the page has no rules")
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"rules.yml": rules[1], "tests.yml": []byte(ruleTests)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "tests.yml"}} {
		c := exec.Command("promtool", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// In the tests time begins at 0, and each series has a value a minute.
const ruleTests = `
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - series: dnsgate_host_seen_timestamp_seconds{host="a.example.com"}
        values: 60x3000
      - series: dnsgate_publisher_lag_seconds{publisher="tinydns"}
        values: 0x10 61x20 0x3000
      - series: dnsgate_publisher_failed{publisher="rfc2136 example.com"}
        values: 2x3000
      - series: dnsgate_commands_total{command="update",code="dnserr"}
        values: 0x10 3x3000
      - series: dnsgate_follower_lag_seconds{key="SHA256:x",comment="ns2",source="192.0.2.2"}
        values: 0.1x10 61x20 0x3000
      - series: dnsgate_keys_unreadable_seconds
        values: 0x10 90x20 0x3000
      - series: dnsgate_keys_faulty
        values: 0x5 1x3000
    alert_rule_test:
      - {eval_time: 36h, alertname: DnsgateHostSilent}
      - eval_time: 37h
        alertname: DnsgateHostSilent
        exp_alerts:
          - exp_labels: {host: a.example.com}
            exp_annotations: {summary: "a.example.com was not heard of for a day and a half"}
      - {eval_time: 5m, alertname: DnsgateNotPublished}
      - eval_time: 15m
        alertname: DnsgateNotPublished
        exp_alerts:
          - exp_labels: {publisher: tinydns}
            exp_annotations: {summary: "tinydns does not publish changes; see dnsgate admin status"}
      - eval_time: 15m
        alertname: DnsgateHostRefused
        exp_alerts:
          - exp_labels: {publisher: rfc2136 example.com}
            exp_annotations: {summary: "rfc2136 example.com refuses 2 hosts; see dnsgate admin status"}
      - {eval_time: 5m, alertname: DnsgateDNSErrors}
      - eval_time: 15m
        alertname: DnsgateDNSErrors
        exp_alerts:
          - exp_annotations: {summary: "clients were answered dnserr; see dnsgate admin status"}
      - {eval_time: 60m, alertname: DnsgateDNSErrors}
      - {eval_time: 5m, alertname: DnsgateFollowerLags}
      - eval_time: 15m
        alertname: DnsgateFollowerLags
        exp_alerts:
          - exp_labels: {key: "SHA256:x", comment: ns2, source: 192.0.2.2}
            exp_annotations: {summary: "ns2 does not serve what changed, or is away; see dnsgate admin status"}
      - eval_time: 15m
        alertname: DnsgateKeysUnreadable
        exp_alerts:
          - exp_annotations: {summary: "authorized_keys cannot be read; the keys are those of before"}
      - {eval_time: 10m, alertname: DnsgateKeysFaulty}
      - eval_time: 20m
        alertname: DnsgateKeysFaulty
        exp_alerts:
          - exp_annotations: {summary: "1 lines of authorized_keys are refused; see dnsgate check"}
`
