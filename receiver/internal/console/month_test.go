package console_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/console"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/receiver/internal/status"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// Verify implements console.People.
func (w *world) Verify(_ context.Context, name string, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.ContainsFunc(w.contacts, func(c people.Contact) bool { return c.Name == name }) {
		return people.ErrUnknownContact
	}
	if w.verified == nil {
		w.verified = make(map[string]int)
	}
	if w.verified[name]++; w.verified[name] > 3 {
		return people.ErrVerifiedOften
	}
	return w.err
}

// Decode implements console.Previewer.
func (w *world) Decode(payload []byte) (n templating.Notification, err error) {
	if err = json.Unmarshal(payload, &n); err == nil && len(n.Alerts) == 0 {
		err = errors.New("not a notification")
	}
	return n, err
}

// Render implements console.Previewer in the same way as the receiver.
func (w *world) Render(receiver string, n templating.Notification, text string, maxSegments int) (console.Rendered, error) {
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet})
	if err != nil {
		return console.Rendered{}, err
	}
	made, err := set.Text(cmp.Or(text, `{{ template "sms.default" . }}`), nil)
	if err != nil {
		return console.Rendered{}, err
	}
	w.rendered = append(w.rendered, receiver+" "+text)
	return console.Rendered{MaxSegments: maxSegments, Rendering: made.Render(n, templating.Budget{MaxSegments: maxSegments})}, nil
}

// month fills the world with what the page of health shows of the last 30 days, and with a message whose
// text does not list all alerts.
func (w *world) month() {
	now, dice := time.Now(), rand.New(rand.NewPCG(1, 2))
	hour := time.Hour
	for day := 29; day >= 0; day-- {
		for range 4 + dice.IntN(8) {
			at := now.Add(-time.Duration(day)*24*hour - time.Duration(dice.IntN(20*60))*time.Minute)
			who := []outbox.Person{alice, bob, carol}[dice.IntN(3)]
			took := time.Duration(2500+dice.IntN(6000)) * time.Millisecond
			if dice.IntN(12) == 0 {
				took *= 12
			}
			w.open(fmt.Sprint(8000+len(w.pages)), "storage", now.Sub(at), firing("Old", []string{"critical", "warning", "info", "warning"}[dice.IntN(4)], "It was bad", template.KV{"pod": "a"}))
			p := w.load(fmt.Sprint(8000 + len(w.pages) - 1))
			p.End(at.Add(hour), "all alerts are resolved")
			w.put(p)
			w.text(p, who, at, "WARNING KafkaConsumerLag prod-eu-1: 2 firing.\nRe "+p.Code, took)
		}
		for i := range 6 {
			w.probe(now.Add(-time.Duration(day)*24*hour-time.Duration(4*i)*hour-time.Minute), time.Duration(2000+dice.IntN(600))*time.Millisecond)
		}
		if day < 7 {
			w.credits = append(w.credits, status.Credit{At: now.Add(-time.Duration(day) * 24 * hour), Left: float64(1941 + 38*day)})
		}
	}
	p := w.load("5512")
	w.text(p, carol, now.Add(-45*time.Minute), cutText, 3*time.Second)
	last := &w.messages[len(w.messages)-1]
	last.Events[0].Detail = "6 of 9 alerts shown; 1 values shortened"
	last.Events = append(last.Events, outbox.Event{At: now.Add(-43 * time.Minute), Type: outbox.EventReply, Detail: "ok"})
	w.messages[0], *last = *last, w.messages[0]
	credit, days, took, at := 1941.0, 52.0, 2.3, now.Add(-41*time.Second)
	w.status.Account = status.Account{Credit: &credit, DaysLeft: &days, ReadAt: status.OrNil(at)}
	w.status.Endpoints = []status.Endpoint{{Host: "api.textinghouse.com", Up: true}, {Host: "api2.textinghouse.com", Up: true}}
	w.status.Probe = status.Probe{Interval: "5m", DeliveredAt: status.OrNil(at), Took: &took}
	w.status.Queue = status.Queue{Waiting: 1, OldestAt: status.OrNil(at)}
	w.status.Leader = status.Leader{Leading: true}
	w.status.Calendars = []status.Calendar{{Rota: "primary", Source: "turns"}, {Rota: "second", Source: "turns"}}
	w.status.Configuration = status.Configuration{LoadedAt: status.Time(now.Add(-40 * hour)), FailedAt: status.OrNil(at), Error: "smspager.yml:41:7: receivers[2].escalate[0].after: must be above 0, is 0s"}
}

// text adds a message that was delivered after a time.
func (w *world) text(p *page.Page, to outbox.Person, at time.Time, text string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := gsm7.Measure(text)
	w.messages = append(w.messages, outbox.Message{
		ID: fmt.Sprintf("%013d-m%d", at.UnixMilli(), len(w.messages)), To: to.Number, Receiver: p.Receiver, PageID: p.ID, Text: text, State: outbox.Delivered, CreatedAt: at, AcceptedAt: at.Add(200 * time.Millisecond), UpdatedAt: at.Add(took),
		Encoding: size.Encoding, Segments: size.Segments, APIID: "7f0c2e91",
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued}, {At: at, Type: outbox.EventAttempt}, {At: at.Add(200 * time.Millisecond), Type: outbox.EventAccepted}, {At: at.Add(took), Type: outbox.EventDelivered, Detail: "status 3"}},
	})
}

// probe adds a delivered probe.
func (w *world) probe(at time.Time, took time.Duration) {
	w.messages = append(w.messages, outbox.Message{
		ID: fmt.Sprintf("%013d-p%d", at.UnixMilli(), len(w.messages)), To: e164.Test, Receiver: outbox.ProbeReceiver, Text: "probe", State: outbox.Delivered, CreatedAt: at, UpdatedAt: at.Add(took), Segments: 1, Encoding: "gsm7",
		Events: []outbox.Event{{At: at, Type: outbox.EventQueued}},
	})
}

// cutText is the text in shared/console/messages.html.
const cutText = `WARNING NodeFilesystemAlmostOutOfSpace prod-eu-1: 9 firing, 12-40m. Filesystem has less than 5% space left.
node01 /srv/media 2.7%
node02 /srv/media 3.1%
files-archi...-eu-west-1 /srv 3.4%
node04 /var 4.0%
node05 /var 4.4%
node06 /var 4.8%
+3 more
Re 5512`
