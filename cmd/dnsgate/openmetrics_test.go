package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

func openmetrics(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(checkOpenMetrics(ts.ReadFile("stdout")))
}

var (
	metricType   = regexp.MustCompile(`^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|counter)$`)
	metricHelp   = regexp.MustCompile(`^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) \S.*$`)
	metricSample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)$`)
)

// checkOpenMetrics says what in text is against OpenMetrics 1.0, as far as
// gauges and counters go: one block for each family, with its TYPE and HELP
// first; counters end in _total and are not negative; no sample is there
// twice; and the text ends with EOF.
func checkOpenMetrics(text string) error {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok {
		return fmt.Errorf("the last line is not # EOF")
	}
	families, samples := map[string]bool{}, map[string]bool{}
	family, kind := "", ""
	for n, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		fail := func(why string) error { return fmt.Errorf("line %d: %s: %q", n+1, why, line) }
		if m := metricType.FindStringSubmatch(line); m != nil {
			if families[m[1]] {
				return fail("the family is there twice")
			}
			family, kind = m[1], m[2]
			families[family] = true
			continue
		}
		if m := metricHelp.FindStringSubmatch(line); m != nil {
			if m[1] != family {
				return fail("HELP outside of its family")
			}
			continue
		}
		m := metricSample.FindStringSubmatch(line)
		if m == nil {
			return fail("neither a comment nor a sample")
		}
		if name := m[1]; kind == "counter" && name != family+"_total" || kind == "gauge" && name != family {
			return fail("a sample of another family")
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil || kind == "counter" && value < 0 {
			return fail("not a value")
		}
		if samples[m[1]+m[2]] {
			return fail("the sample is there twice")
		}
		samples[m[1]+m[2]] = true
	}
	return nil
}
