package command

// admit waits until l may be on its way: until as many hosts of its batch are
// answered, and there is room for it. An evicted batch begins no more lines.
func (b *batch) admit(l *batchLine) (leave func(), err error) {
	hosts := len(l.update.hosts)
	for range hosts {
		select {
		case b.unanswered <- struct{}{}:
			l.hosts++
		case <-b.place.evicted:
			return nil, errEvicted // what l took is given back once it is answered
		}
	}
	return b.room(hosts)
}

// room takes a place for each host of a line, its own or else shared ones, and
// returns what gives them back. Waiting with some of them is safe: a line has
// fewer hosts than its batch has places of its own, and those come back.
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

// awaitEarlier waits for the lines in flight of l's hosts, and reports whether
// there were any.
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
