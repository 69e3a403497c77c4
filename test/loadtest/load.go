package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// load is what a server did, or the median of several.
type load struct {
	rate     float64       // updates per second
	p50, p99 time.Duration // of one update, connection included
	cpu      time.Duration // of the server and its children, per update
	failed   int           // updates that were refused, and tried again
	others   float64       // share of the CPUs that neither clients nor server used
}

// maxTries is how often a measurement is made until the machine is quiet.
const maxTries = 5

// measureQuietly takes the first measurement during which others left the
// machine alone, or else the one that they disturbed least.
func measureQuietly(s *server, clients int, each time.Duration, quiet float64) (best load, err error) {
	for try := range maxTries {
		l, err := measure(s, clients, each)
		if err != nil {
			return load{}, err
		}
		if try == 0 || l.others < best.others {
			best = l
		}
		if best.others <= quiet {
			break
		}
	}
	return best, nil
}

// measure has clients update hosts of the server for a while, each its own
// ones in turn.
func measure(s *server, clients int, each time.Duration) (load, error) {
	if _, err := drive(s, clients, each/10); err != nil { // warm up
		return load{}, err
	}
	before, err := s.cpu()
	if err != nil {
		return load{}, err
	}
	began, busyBefore, ownBefore := time.Now(), busy(), own()
	done, err := drive(s, clients, each)
	took := time.Since(began)
	if err != nil {
		return load{}, err
	}
	after, err := s.cpu()
	if err != nil {
		return load{}, err
	}
	others := busy() - busyBefore - (own() - ownBefore) - (after - before)
	n := len(done.took)
	slices.Sort(done.took)
	return load{
		rate: float64(n) / took.Seconds(),
		p50:  done.took[n/2], p99: done.took[n*99/100],
		cpu:    (after - before) / time.Duration(n),
		failed: done.failed,
		others: max(0, others.Seconds()/took.Seconds()/float64(runtime.NumCPU())),
	}, nil
}

// driven is what clients saw.
type driven struct {
	took   []time.Duration
	failed int
}

func drive(s *server, clients int, each time.Duration) (driven, error) {
	var (
		mu       sync.Mutex
		all      driven
		lastFail error
		working  sync.WaitGroup
	)
	end := time.Now().Add(each)
	for client := range clients {
		working.Go(func() {
			one, err := driveOne(s, client, clients, end)
			mu.Lock()
			defer mu.Unlock()
			all.took = append(all.took, one.took...)
			all.failed += one.failed
			if err != nil {
				lastFail = err
			}
		})
	}
	working.Wait()
	if all.failed > 5*len(all.took) { // else the report tells
		return all, s.process.failed(fmt.Sprintf("%s: %d of %d updates failed: %v", s.name, all.failed, len(all.took)+all.failed, lastFail))
	}
	return all, nil
}

// driveOne is one client: hosts client, client+clients, and so on.
func driveOne(s *server, client, clients int, end time.Time) (done driven, last error) {
	for host := client; time.Now().Before(end); host += clients {
		if host >= len(s.scene.signers) {
			host = client
		}
		began := time.Now()
		if err := s.update(client, host, s.scene.nextAddress()); err != nil {
			last = err
			if done.failed++; done.failed > 100 {
				return done, last
			}
			time.Sleep(20 * time.Millisecond)
			continue
		}
		done.took = append(done.took, time.Since(began))
	}
	return done, last
}

// medianLoad takes the middle of each figure by itself.
func medianLoad(loads []load) load {
	var rates []float64
	var p50s, p99s, cpus []time.Duration
	others := 0.0
	failed := 0
	for _, l := range loads {
		rates, p50s, p99s, cpus = append(rates, l.rate), append(p50s, l.p50), append(p99s, l.p99), append(cpus, l.cpu)
		failed += l.failed
		others = max(others, l.others)
	}
	return load{rate: median(rates), p50: median(p50s), p99: median(p99s), cpu: median(cpus), failed: failed, others: others}
}

func median[T int64 | float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
