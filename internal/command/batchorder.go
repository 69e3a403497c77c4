package command

// admit waits until l may begin: until enough of its batch's hosts are answered and
// there is room for l. An evicted batch begins no more lines.
func (b *batch) admit(l *batchLine) (leave func(), err error) {
	hosts := len(l.update.hosts)
	for range hosts {
		select {
		case b.unanswered <- struct{}{}:
			l.hosts++
		case <-b.place.evicted:
			return nil, errEvicted // the places of l come back once it is answered
		}
	}
	return b.room(hosts)
}

// room takes a place for each host of a line, of its batch's own or of the shared ones,
// and returns the function that gives them back. Waiting with some places in hand is
// safe: a line has fewer hosts than its batch has own places, and those come back.
func (b *batch) room(hosts int) (leave func(), err error) {
	own, others, shared := 0, 0, b.run.interp.sharedPlaces()
	leave = func() {
		for range others {
			<-shared
		}
		for range own {
			<-b.own
		}
	}
	for range hosts {
		select {
		case b.own <- struct{}{}:
			own++
			continue
		default:
		}
		select {
		case b.own <- struct{}{}:
			own++
		case shared <- struct{}{}:
			others++
		case <-b.place.evicted:
			leave()
			return nil, errEvicted
		}
	}
	return leave, nil
}

// sharedPlaces are for lines of all batches.
func (in *Interpreter) sharedPlaces() chan struct{} {
	in.sharing.Do(func() { in.lines = make(chan struct{}, sharedLines) })
	return in.lines
}

// awaitEarlier waits for the lines in flight of l's hosts, and reports whether it had
// to.
func (b *batch) awaitEarlier(l *batchLine) (waited bool) {
	for _, name := range l.update.hosts {
		earlier := b.busy[name]
		if earlier == nil {
			continue
		}
		select {
		case <-earlier.done:
		default:
			<-earlier.done
			waited = true
		}
	}
	return waited
}

// forget drops hosts whose line is done.
func (b *batch) forget() {
	for name, l := range b.busy {
		select {
		case <-l.done:
			delete(b.busy, name)
		default:
		}
	}
}
