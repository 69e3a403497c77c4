package command

import (
	"errors"
	"io"
	"strings"
	"time"

	"dnsgate/internal/records"
)

// How many lines are under way at once, and so how many one publication serves: a few
// of each batch, and more of batches with many lines. Each costs about 10 KiB. A line
// counts once for each of its hosts. The same number of a batch's lines may be
// unanswered.
const (
	ownLines    = 256
	sharedLines = 8192
)

// isBatch reports whether the words after "update" ask for a batch.
func isBatch(words []string) bool {
	_, words, err := takeFlags(words, "--dry-run")
	return err == nil && len(words) == 1 && words[0] == "-"
}

// batch runs "update -": each line of standard input is an update of its own,
// answered in order as it becomes durable and published.
func (r *run) batch(dryRun bool) error {
	place, err := r.interp.batches.begin(r.grant.Fingerprint, time.Now())
	if err != nil {
		return err
	}
	defer r.interp.batches.end(place)
	b := &batch{run: r, place: place, dryRun: dryRun, busy: make(map[records.Name]*batchLine),
		own: make(chan struct{}, ownLines), unanswered: make(chan struct{}, ownLines+sharedLines)}
	waiting := make(chan *batchLine, ownLines+sharedLines)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		b.answer(waiting)
	}()
	defer func() {
		close(waiting)
		<-finished
	}()
	return b.read(waiting)
}

type batch struct {
	run    *run
	place  *batchPlace
	dryRun bool
	busy   map[records.Name]*batchLine // the last line in flight of each host
	own    chan struct{}               // a place for each of ownLines in flight

	unanswered chan struct{} // a place for each host of a line until that is answered
}

// batchLine is one line on its way. done closes once reply and err are set.
type batchLine struct {
	update *addressUpdate // nil once it is done
	shown  string         // of its hosts, until it is answered
	began  time.Time
	hosts  int // of the host places that are counted as unanswered
	reply  string
	err    error
	done   chan struct{}
}

// read starts each line as it comes, and passes it on in order.
func (b *batch) read(waiting chan<- *batchLine) error {
	stop := make(chan struct{})
	defer close(stop)
	lines := b.input(stop)
	for {
		l, err := b.next(lines)
		if err != nil {
			return err
		}
		if l.err == io.EOF {
			return nil
		}
		var f *Refusal
		if l.err != nil && !errors.As(l.err, &f) {
			return refusal(Outage, "reading the batch: %v", l.err)
		}
		if l.err == nil && strings.Trim(l.text, " \t") == "" {
			continue
		}
		b.run.record.lines++
		select {
		case waiting <- b.start(l.text, l.err):
		case <-b.run.ctx.Done():
			return refusal(Outage, "the session ended before the batch did")
		}
	}
}

// start begins a line. It first waits for earlier lines of the same hosts, so that the
// last of them wins. Only then does it look up the key's grant, because that wait may
// be long.
func (b *batch) start(text string, err error) *batchLine {
	l := &batchLine{err: err, began: time.Now(), done: make(chan struct{})}
	var c change
	for again := true; l.err == nil && again; again = l.err == nil && b.awaitEarlier(l) {
		l.err = b.run.survive(func() (err error) {
			c, err = b.prepare(l, text)
			return err
		})
	}
	if l.err != nil {
		close(l.done)
		return l
	}
	l.shown = firstHosts(l.update.hosts)
	for _, name := range l.update.hosts {
		b.busy[name] = l
	}
	if len(b.busy) > 4*sharedLines {
		b.forget()
	}
	leave, err := b.admit(l)
	if err != nil {
		l.err = err
		close(l.done)
		return l
	}
	go func() {
		defer leave()
		defer close(l.done)
		l.err = b.run.survive(func() error {
			done, err := b.run.transact(c)
			if err == nil {
				for _, d := range done {
					l.reply += l.update.reply(d)
				}
			}
			return err
		})
		l.update = nil // l is kept in busy
	}()
	return l
}

// prepare parses and authorizes a line, with the key's grant of this moment.
func (b *batch) prepare(l *batchLine, text string) (change, error) {
	words, err := split(text)
	if err != nil {
		return change{}, err
	}
	if err := b.run.interp.drain.refusal(); err != nil {
		return change{}, err
	}
	grant, err := b.run.session.Grant()
	if err != nil {
		return change{}, noGrant(err)
	}
	if l.update, err = parseUpdate(words); err != nil {
		return change{}, err
	}
	l.update.dryRun = b.dryRun
	if err := l.update.authorize(grant, b.run.session.Source); err != nil {
		return change{}, err
	}
	return l.update.change(b.run.interp.change(b.run.session, grant)), nil
}

// answer writes the replies in order, and flushes when there is a pause.
func (b *batch) answer(waiting <-chan *batchLine) {
	out := b.run.out
	for {
		select {
		case l, more := <-waiting:
			if !more {
				return
			}
			b.answerLine(l)
		default:
			out.Flush()
			l, more := <-waiting
			if !more {
				return
			}
			b.answerLine(l)
		}
	}
}

func (b *batch) answerLine(l *batchLine) {
	select {
	case <-l.done:
	default:
		b.run.out.Flush()
		<-l.done
	}
	defer func() {
		l.reply, l.shown = "", "" // l is kept in busy
		for range l.hosts {
			<-b.unanswered
		}
	}()
	b.note(l)
	if l.err != nil {
		explain(b.run.out, io.Discard, l.err)
		if exit := exitStatus(l.err); exit > b.run.worst {
			b.run.worst, b.run.record.code = exit, asRefusal(l.err).Code
		}
		return
	}
	b.run.out.WriteString(l.reply)
}

// note remembers a line for `top`.
func (b *batch) note(l *batchLine) {
	code := Good
	switch {
	case l.err != nil:
		code = asRefusal(l.err).Code
	case !strings.Contains(l.reply, string(Good)+" "): // not a part of it, which would keep it
		code = NoChange
	}
	now := time.Now()
	b.run.interp.activity.note(ended{
		at: now, verb: "update", code: code, hosts: l.shown, source: b.run.session.place(), took: now.Sub(l.began),
	}, b.run.grant, true)
}
