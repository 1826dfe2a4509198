package main

import (
	"slices"
	"time"
)

// happen carries out the random events that are due.
func (w *world) happen(now time.Time) error {
	w.happened["alert fires"] += w.change(now)
	w.silences = slices.DeleteFunc(w.silences, func(s silence) bool { return !now.Before(s.until) })
	if err := w.restart(now); err != nil {
		return err
	}
	if now.Before(w.nextWhat) {
		return nil
	}
	w.nextWhat = now.Add(w.between(2, 14))
	if w.isDown() {
		return nil // only one of the two might receive a silence or a configuration
	}
	switch w.random.IntN(8) {
	case 0, 1, 2:
		return w.silence(now)
	case 3:
		return w.unsilence()
	case 4:
		w.byName = !w.byName
		w.happened["regrouped"]++
		return w.reload()
	case 5:
		w.muted = !w.muted
		w.happened["muted or unmuted"]++
		return w.reload()
	case 6:
		w.happened["sender dies"]++
		one := w.random.IntN(2)
		w.dead[one], w.dead[1-one] = now.Add(w.between(5, 40)), time.Time{}
	case 7:
		if w.sim.Reply(alice, "ok all") == nil { // a reply needs a text
			w.happened["acknowledged"]++
		}
	}
	return nil
}

func (w *world) isDown() bool { return !w.down[0].IsZero() || !w.down[1].IsZero() }

func (w *world) silence(now time.Time) error {
	of := w.alerts[w.random.IntN(len(w.alerts))]
	name := []string{"alertname", "instance"}[w.random.IntN(2)]
	length := w.between(15, 100)
	if of.labels[name] == "" || of.labels[name] == "NodeDown" {
		return nil
	}
	id, err := w.ams[w.random.IntN(2)].Silence(name, of.labels[name], length)
	if err != nil {
		return err
	}
	w.happened["silenced"]++
	w.silences = append(w.silences, silence{id, name, of.labels[name], now.Add(length)})
	return nil
}

func (w *world) unsilence() error {
	if len(w.silences) == 0 {
		return nil
	}
	s := w.silences[0]
	if time.Until(s.until) < 2*time.Second {
		return nil
	}
	w.silences = w.silences[1:]
	w.happened["silence ended early"]++
	return w.ams[w.random.IntN(2)].Unsilence(s.id)
}

func (w *world) reload() error {
	for _, am := range w.ams {
		if err := am.Reload(w.config(w.web.URL)); err != nil {
			return err
		}
	}
	return nil
}

// restart kills Alertmanagers and starts them again: either one, or both with the loss of their data.
func (w *world) restart(now time.Time) error {
	for i, at := range w.down {
		if !at.IsZero() && !now.Before(at) {
			w.down[i] = time.Time{}
			if err := w.ams[i].Run(); err != nil {
				return err
			}
			w.started[i] = time.Now()
		}
	}
	if now.Before(w.nextKill) || w.isDown() {
		return nil
	}
	w.nextKill = now.Add(w.between(40, 150))
	back := now.Add(w.between(1, 8))
	switch one := w.random.IntN(2); w.random.IntN(5) {
	case 0:
		w.happened["both Alertmanagers lose their data"]++
		w.silences = nil
		for i, am := range w.ams {
			w.down[i] = back
			if err := am.Kill(true); err != nil {
				return err
			}
		}
	default:
		loss := w.random.IntN(2) == 0
		what := "Alertmanager killed"
		if loss {
			what = "Alertmanager loses its data"
		}
		w.happened[what]++
		w.down[one] = back
		return w.ams[one].Kill(loss)
	}
	return nil
}
