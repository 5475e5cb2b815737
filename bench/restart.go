package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// restart kills the whole process (API and worker; its Temporal ends with it) right after it acknowledged
// an upload, starts it again at once as a supervisor would, and checks that nothing acknowledged is lost.
func restart(ctx context.Context, l *lab) (result, error) {
	b, err := l.startBroker(ctx, "restart", "")
	if err != nil {
		return result{}, err
	}
	defer func() { b.stop() }()
	var ready, confirmed sample
	for round := range l.restarts {
		l.say("kill -9, %d of %d", round+1, l.restarts)
		one, err := b.killOnce(ctx, l)
		if err != nil {
			return result{}, fmt.Errorf("%w; it said: %s", err, b.tail())
		}
		ready, confirmed = append(ready, one.ready.Seconds()), append(confirmed, one.confirmed.Seconds())
	}
	t := table{
		title:   fmt.Sprintf("formidling run killed with signal 9 and started again, %d times, s", len(ready)),
		columns: []string{"until", "median", "least", "most"},
	}
	t.add("/readyz answers 200", ready.median(), ready.quantile(0), ready.quantile(1))
	t.add("the upload acknowledged before is downloaded and confirmed", confirmed.median(), confirmed.quantile(0), confirmed.quantile(1))
	r := result{Tables: []table{t}, Targets: []target{atMost("kill -9 → serving again, the longest", ready.quantile(1), 5, "s")}}
	r.note("nothing acknowledged was lost in %d of %d", len(confirmed), l.restarts)
	return r, nil
}

// revival is how long it took, from the kill.
type revival struct{ ready, confirmed time.Duration }

func (b *broker) killOnce(ctx context.Context, l *lab) (revival, error) {
	sender, recipient, err := b.pair()
	if err != nil {
		return revival{}, err
	}
	id, err := sender.initialize(ctx, serviceLater, recipient.party)
	if err != nil {
		return revival{}, err
	}
	if err := sender.upload(ctx, id, bytes.NewReader(smallFile), int64(len(smallFile))); err != nil {
		return revival{}, err
	}
	began := time.Now()
	b.kill()
	wire.CloseIdleConnections()
	if err := b.launch(l); err != nil {
		return revival{}, err
	}
	if err := b.ready(ctx, time.Minute); err != nil {
		return revival{}, err
	}
	r := revival{ready: time.Since(began)}
	if err := recipient.download(ctx, id, int64(len(smallFile))); err != nil {
		return r, err
	}
	if err := recipient.confirm(ctx, id); err != nil {
		return r, err
	}
	r.confirmed = time.Since(began)
	return r, nil
}
