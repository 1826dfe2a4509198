package page_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

var (
	begin = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	alice = outbox.Person{Name: "alice", Number: "+33639980001"}
	bob   = outbox.Person{Name: "bob", Number: "+33639980002"}
	carol = outbox.Person{Name: "carol", Number: "+33639980003"}
	plan  = &page.Plan{Pages: true, Repeat: time.Hour, NoReceipt: 2 * time.Minute, Steps: []page.Step{
		{After: 5 * time.Minute, To: []string{"bob"}}, {After: 15 * time.Minute, To: []string{"carol"}},
	}}
)

// at returns the time at which the page has been open for d.
func at(d time.Duration) time.Time { return begin.Add(d) }

// firing returns a notification of firing alerts with these fingerprints.
func firing(fingerprints ...string) *templating.Notification {
	n := &templating.Notification{}
	n.Status, n.GroupKey, n.NotificationReason = "firing", "{}:{}", "first notification"
	for _, f := range fingerprints {
		n.Alerts = append(n.Alerts, template.Alert{Status: "firing", Fingerprint: f, StartsAt: begin, Labels: template.KV{"severity": "critical"}})
	}
	return n
}

// opened returns a page of alert a that has paged alice.
func opened() *page.Page {
	p := openedFor(alice)
	p.Schedule(plan)
	return p
}

// openedFor returns a page of alert a that has paged people.
func openedFor(people ...outbox.Person) *page.Page {
	p := page.Open("1", "4821", "oncall", firing("a"), nil, begin)
	p.Begin(people, begin)
	return p
}

// notify updates a page from a firing notification, about which people get messages.
func notify(p *page.Page, n *templating.Notification, at time.Time, people ...outbox.Person) {
	e := p.Update(n, nil, at)
	p.Notified(n.NotificationReason, e, people, p.Reopens(n, "", at), at)
}

// after returns an opened page after some actions, with the events of the last action only.
func after(do ...func(*page.Page)) *page.Page {
	p := opened()
	for _, d := range do {
		p.Events = nil
		d(p)
	}
	return p
}

func acknowledge(by outbox.Person, d time.Duration) func(*page.Page) {
	return func(p *page.Page) { p.Acknowledge(by, at(d), "") }
}

func silence(until time.Duration) func(*page.Page) {
	return func(p *page.Page) { p.Silence(at(until)) }
}

func escalate(d time.Duration, people ...outbox.Person) func(*page.Page) {
	return func(p *page.Page) { p.Do(page.Action{Kind: page.Escalate}, plan, people, at(d)) }
}

func repeated(d time.Duration) func(*page.Page) {
	return func(p *page.Page) { p.Do(page.Action{Kind: page.Repeat}, plan, nil, at(d)) }
}

func judged(d time.Duration) func(*page.Page) {
	return func(p *page.Page) { p.Do(page.Action{Kind: page.Judge}, plan, nil, at(d)) }
}

// resolve resolves alert a.
func resolve(p *page.Page) {
	n := firing("a")
	n.Status, n.Alerts[0].Status = "resolved", "resolved"
	p.Update(n, nil, at(time.Minute))
	p.End(at(time.Minute), "")
}

// TestNext: Next returns what is due for a page that pages alice at 0, bob in step 1 (5m) and carol in
// step 2 (15m).
func TestNext(t *testing.T) {
	sent := page.Reach{Who: "alice", Detail: "no receipt", Sent: true}
	arrived := page.Reach{Who: "alice", Sent: true, Arrived: true}
	queued := page.Reach{Who: "alice", Detail: "no receipt"}
	lost := page.Reach{Who: "alice", Detail: "failed (Invalid number)", Lost: true}
	lostBob := page.Reach{Who: "bob", Detail: "wants no more texts", Lost: true}
	withoutReceipts := *plan
	withoutReceipts.NoReceipt = 0
	for name, test := range map[string]struct {
		page    *page.Page
		now     time.Duration
		plan    *page.Plan // nil: plan
		none    bool       // the receiver is not configured
		stopped bool
		reached []page.Reach
		want    page.Action
	}{
		"the page has just opened":                       {page: opened(), reached: []page.Reach{queued}, want: page.Action{Kind: page.Wait}},
		"the message has arrived":                        {page: opened(), now: 4 * time.Minute, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Judge}},
		"nobody has acknowledged it":                     {page: opened(), now: 5 * time.Minute, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Escalate, Why: "No answer from alice"}},
		"the message is not sent when the step is due":   {page: opened(), now: 5 * time.Minute, reached: []page.Reach{queued}, want: page.Action{Kind: page.Escalate, Why: "Not reached: alice"}},
		"the message is lost":                            {page: opened(), now: time.Second, reached: []page.Reach{lost}, want: page.Action{Kind: page.Escalate, Why: "Not reached: alice", Unreached: "alice: failed (Invalid number)"}},
		"one of two may have received it":                {page: opened(), now: time.Second, reached: []page.Reach{lost, sent}, want: page.Action{Kind: page.Wait}},
		"both are lost":                                  {page: opened(), now: time.Second, reached: []page.Reach{lost, lostBob}, want: page.Action{Kind: page.Escalate, Why: "Not reached: alice", Unreached: "alice: failed (Invalid number); bob: wants no more texts"}},
		"no receipt came in time":                        {page: opened(), now: 2 * time.Minute, reached: []page.Reach{sent}, want: page.Action{Kind: page.Escalate, Why: "Not reached: alice", Unreached: "alice: no receipt"}},
		"without waiting for receipts":                   {page: opened(), now: 4 * time.Minute, plan: &withoutReceipts, reached: []page.Reach{sent}, want: page.Action{Kind: page.Wait}},
		"the second step":                                {page: after(escalate(5*time.Minute, bob)), now: 15 * time.Minute, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Escalate, Why: "No answer from bob"}},
		"the second step is not due":                     {page: after(escalate(5*time.Minute, bob)), now: 14 * time.Minute, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Judge}},
		"the previous step named nobody":                 {page: after(escalate(5 * time.Minute)), now: 5 * time.Minute, want: page.Action{Kind: page.Escalate}},
		"the last step is lost":                          {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol)), now: 15 * time.Minute, reached: []page.Reach{lost}, want: page.Action{Kind: page.Judge, Unreached: "alice: failed (Invalid number)"}},
		"the last step has no receipt":                   {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol)), now: 17 * time.Minute, reached: []page.Reach{sent, arrived}, want: page.Action{Kind: page.Judge}},
		"the last step is judged":                        {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol), judged(17*time.Minute)), now: 18 * time.Minute, reached: []page.Reach{lost}, want: page.Action{Kind: page.Wait}},
		"an hour without an acknowledgement":             {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol)), now: 75 * time.Minute, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Repeat}},
		"without a repeat":                               {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol), judged(17*time.Minute)), now: 5 * time.Hour, plan: &page.Plan{Pages: true, Steps: plan.Steps}, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Wait}},
		"nobody was paged":                               {page: openedFor(), now: 5 * time.Hour, plan: &page.Plan{Pages: true, Repeat: time.Hour}, want: page.Action{Kind: page.Wait}},
		"it was repeated":                                {page: after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol), repeated(75*time.Minute), judged(0)), now: 2 * time.Hour, reached: []page.Reach{arrived}, want: page.Action{Kind: page.Wait}},
		"somebody holds it":                              {page: after(acknowledge(alice, time.Minute)), now: time.Hour, want: page.Action{Kind: page.Wait}},
		"the holder has stopped texts":                   {page: after(acknowledge(alice, time.Minute)), now: time.Hour, stopped: true, want: page.Action{Kind: page.HandBack, Why: "alice wants no more texts"}},
		"the holder of a silenced page stops":            {page: after(acknowledge(alice, time.Minute), silence(2*time.Hour)), now: time.Hour, stopped: true, want: page.Action{Kind: page.Wait}},
		"36 hours without a notification":                {page: opened(), now: 36 * time.Hour, want: page.Action{Kind: page.Expire, Why: "no notification came for 1d12h"}},
		"36 hours, and the receiver is not configured":   {page: opened(), none: true, now: 36 * time.Hour, want: page.Action{Kind: page.Expire, Why: "no notification came for 1d12h"}},
		"silenced, no notification is expected":          {page: after(acknowledge(alice, time.Minute), silence(2*time.Hour)), now: 37 * time.Hour, want: page.Action{Kind: page.Wait}},
		"the receiver no longer has pages":               {page: opened(), plan: &page.Plan{}, want: page.Action{Kind: page.Expire, Why: "its receiver no longer has pages"}},
		"the receiver is not configured, nothing is due": {page: opened(), none: true, now: time.Hour, want: page.Action{Kind: page.Wait}},
	} {
		t.Run(name, func(t *testing.T) {
			facts := page.Facts{Plan: plan, Reached: test.reached}
			if test.stopped {
				facts.HolderLeft = "alice wants no more texts"
			}
			if test.plan != nil || test.none {
				facts.Plan = test.plan
			}
			before, _ := json.Marshal(test.page)
			if got := test.page.Next(facts, at(test.now)); got != test.want {
				t.Errorf("the result is %+v, want %+v", got, test.want)
			}
			if now, _ := json.Marshal(test.page); string(now) != string(before) {
				t.Error("Next changes the page")
			}
		})
	}
}

// TestSchedule: DueAt is the time of the next action.
func TestSchedule(t *testing.T) {
	patient := &page.Plan{Pages: true, Steps: plan.Steps}
	for name, test := range map[string]struct {
		page *page.Page
		plan *page.Plan
		want time.Duration // -1: never
	}{
		"a receipt may be missing":       {opened(), plan, 2 * time.Minute},
		"the first step":                 {opened(), patient, 5 * time.Minute},
		"the second step":                {after(escalate(5*time.Minute, bob)), patient, 15 * time.Minute},
		"a step that named nobody":       {after(escalate(6 * time.Minute)), patient, 6 * time.Minute},
		"a step that came late":          {after(escalate(65*time.Minute, bob)), patient, 75 * time.Minute},
		"the repeat":                     {after(escalate(5*time.Minute, bob), escalate(15*time.Minute, carol)), plan, 75 * time.Minute},
		"held":                           {after(acknowledge(alice, time.Minute)), plan, 36 * time.Hour},
		"silenced":                       {after(acknowledge(alice, time.Minute), silence(2*time.Hour)), plan, 38 * time.Hour},
		"over":                           {after(func(p *page.Page) { p.End(at(time.Minute), "") }), plan, -1},
		"the receiver is not configured": {opened(), nil, 36 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			test.page.Schedule(test.plan)
			if test.want < 0 && !test.page.DueAt.IsZero() || test.want >= 0 && !test.page.DueAt.Equal(at(test.want)) {
				t.Errorf("the page is due after %v, want %v", test.page.DueAt.Sub(begin), test.want)
			}
		})
	}
}

// TestLife: each event changes a page.
func TestLife(t *testing.T) {
	asleep := alice
	asleep.NotBefore = at(4 * time.Hour)
	notified := func(d time.Duration, stopped bool, to []outbox.Person, fingerprints ...string) func(*page.Page) {
		return func(p *page.Page) {
			n := firing(fingerprints...)
			e := p.Update(n, nil, at(d))
			left := ""
			if stopped {
				left = "alice wants no more texts"
			}
			p.Notified(n.NotificationReason, e, to, p.Reopens(n, left, at(d)), at(d))
		}
	}
	team := []outbox.Person{alice, bob}
	for name, test := range map[string]struct {
		page   *page.Page
		state  outbox.PageState
		holder e164.Number
		steps  int
		due    time.Duration // of the next step, in a plan that ignores receipts
		events string
	}{
		"opened":                                 {opened(), outbox.PageOpen, "", 0, 5 * time.Minute, "opened, paged alice"},
		"opened in quiet hours":                  {openedFor(asleep), outbox.PageOpen, "", 0, 4*time.Hour + 5*time.Minute, "opened, paged alice"},
		"opened, some have quiet hours":          {openedFor(asleep, bob), outbox.PageOpen, "", 0, 5 * time.Minute, "opened, paged alice, paged bob"},
		"opened without recipients":              {openedFor(), outbox.PageOpen, "", 0, 0, "opened"},
		"notified again":                         {after(notified(time.Minute, false, team[:1], "a", "b")), outbox.PageOpen, "", 0, 5 * time.Minute, "notified"},
		"notified with somebody new":             {after(notified(time.Minute, false, team, "a")), outbox.PageOpen, "", 0, 5 * time.Minute, "notified, paged bob"},
		"escalated":                              {after(escalate(5*time.Minute, bob)), outbox.PageOpen, "", 1, 15 * time.Minute, "escalated, paged bob"},
		"escalated without recipients":           {after(escalate(5 * time.Minute)), outbox.PageOpen, "", 1, 5 * time.Minute, "escalated, unreached"},
		"acknowledged":                           {after(acknowledge(alice, time.Minute)), outbox.PageAcknowledged, alice.Number, 0, -1, "acknowledged alice"},
		"the holder is kept up to date":          {after(acknowledge(alice, time.Minute), notified(2*time.Minute, false, team[:1], "a")), outbox.PageAcknowledged, alice.Number, 0, -1, "notified"},
		"another alert reopens it":               {after(acknowledge(alice, time.Minute), notified(2*time.Minute, false, team, "a", "b")), outbox.PageOpen, "", 0, 7 * time.Minute, "notified, reopened, paged alice, paged bob"},
		"notified, the holder has stopped texts": {after(acknowledge(alice, time.Minute), notified(2*time.Minute, true, team[1:], "a")), outbox.PageOpen, "", 0, 7 * time.Minute, "notified, reopened, paged bob"},
		"notified while it is silenced":          {after(acknowledge(alice, time.Minute), silence(time.Hour), notified(2*time.Minute, false, team[:1], "a")), outbox.PageSilenced, alice.Number, 0, -1, "notified"},
		"notified after the silence":             {after(acknowledge(alice, time.Minute), silence(time.Hour), notified(time.Hour, false, team[:1], "a")), outbox.PageOpen, "", 0, 65 * time.Minute, "notified, reopened, paged alice"},
		"undone":                                 {after(acknowledge(alice, time.Minute), func(p *page.Page) { p.Undo(plan, alice, at(time.Hour)) }), outbox.PageOpen, "", 0, 65 * time.Minute, "undone alice"},
		"undone after a step":                    {after(escalate(5*time.Minute, bob), acknowledge(bob, 6*time.Minute), func(p *page.Page) { p.Undo(plan, bob, at(time.Hour)) }), outbox.PageOpen, "", 1, 70 * time.Minute, "undone bob"},
		"handed back":                            {after(acknowledge(alice, time.Minute), func(p *page.Page) { p.Do(page.Action{Kind: page.HandBack}, plan, team[1:], at(time.Hour)) }), outbox.PageOpen, "", 0, 65 * time.Minute, "reopened, paged bob"},
		"unsilenced":                             {after(acknowledge(alice, time.Minute), silence(time.Hour), (*page.Page).Unsilence), outbox.PageAcknowledged, alice.Number, 0, -1, ""},
		"expired":                                {after(func(p *page.Page) { p.Do(page.Action{Kind: page.Expire}, plan, nil, at(36*time.Hour)) }), outbox.PageExpired, "", 0, -1, "expired"},
		"resolved":                               {after(func(p *page.Page) { p.End(at(time.Hour), "") }), outbox.PageResolved, "", 0, -1, "resolved"},
		"judged, with nobody else to page":       {after(func(p *page.Page) { p.Do(page.Action{Kind: page.Judge, Unreached: "x"}, plan, nil, at(time.Hour)) }), outbox.PageOpen, "", 0, 5 * time.Minute, "unreached"},
		"a severe alert ends the wait for dawn":  {wokenEarly(asleep), outbox.PageOpen, "", 0, 65 * time.Minute, "notified"},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.page
			if p.State != test.state || p.Holder != test.holder || p.Steps != test.steps {
				t.Errorf("the page is %s, held by %q, after %d steps; want %s, %q, %d", p.State, p.Holder, p.Steps, test.state, test.holder, test.steps)
			}
			var events []string
			for _, e := range p.Events {
				events = append(events, strings.TrimSpace(string(e.Type)+" "+e.Who))
			}
			if got := strings.Join(events, ", "); got != test.events {
				t.Errorf("the events are %q, want %q", got, test.events)
			}
			p.Schedule(&page.Plan{Pages: true, Steps: plan.Steps})
			if test.due >= 0 && !p.DueAt.Equal(at(test.due)) {
				t.Errorf("the next step is due after %v, want %v", p.DueAt.Sub(begin), test.due)
			}
		})
	}
}

// wokenEarly returns a page that waited for the end of quiet hours until a more severe alert fired.
func wokenEarly(asleep outbox.Person) *page.Page {
	p := openedFor(asleep)
	p.Events = nil
	notify(p, firing("a", "b"), at(time.Hour), alice)
	return p
}

// TestReached: Reached returns how far the messages to alice have got.
func TestReached(t *testing.T) {
	message := func(state outbox.State, to e164.Number, d time.Duration) outbox.Message {
		return outbox.Message{To: to, State: state, CreatedAt: at(d), Events: []outbox.Event{{Detail: "because"}}}
	}
	for name, test := range map[string]struct {
		ms      []outbox.Message // newest first
		stopped bool
		want    page.Reach
	}{
		"not known yet": {nil, false, page.Reach{Sent: true, Arrived: true}},
		"queued":        {[]outbox.Message{message(outbox.Queued, alice.Number, 0)}, false, page.Reach{Detail: "no receipt"}},
		"in doubt":      {[]outbox.Message{message(outbox.Sending, alice.Number, 0)}, false, page.Reach{Detail: "no receipt"}},
		"accepted":      {[]outbox.Message{message(outbox.Accepted, alice.Number, 0)}, false, page.Reach{Detail: "no receipt", Sent: true}},
		"delivered":     {[]outbox.Message{message(outbox.Delivered, alice.Number, 0)}, false, page.Reach{Detail: "no receipt", Sent: true, Arrived: true}},
		"failed":        {[]outbox.Message{message(outbox.Failed, alice.Number, 0)}, false, page.Reach{Detail: "failed (because)", Lost: true}},
		"the newest failed, an older one arrived": {[]outbox.Message{message(outbox.Failed, alice.Number, 1), message(outbox.Delivered, alice.Number, 0)}, false, page.Reach{Detail: "no receipt", Sent: true, Arrived: true}},
		"alice has stopped texts":                 {[]outbox.Message{message(outbox.Delivered, alice.Number, 0)}, true, page.Reach{Detail: "wants no more texts", Lost: true}},
		"only bob's message is known":             {[]outbox.Message{message(outbox.Failed, bob.Number, 0)}, false, page.Reach{Sent: true, Arrived: true}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Who = "alice"
			got := opened().Reached(test.ms, func(e164.Number) bool { return test.stopped })
			if !slices.Equal(got, []page.Reach{test.want}) {
				t.Errorf("the result is %+v, want %+v", got, test.want)
			}
		})
	}
	p := after(escalate(5*time.Minute, bob))
	for _, test := range []struct {
		m    outbox.Message
		want bool
	}{
		{message(outbox.Queued, bob.Number, 5*time.Minute), true},
		{message(outbox.Queued, bob.Number, 4*time.Minute), false},
		{outbox.Message{To: bob.Number, CreatedAt: at(4 * time.Minute), NotBefore: at(6 * time.Minute)}, true},
		{message(outbox.Queued, alice.Number, 5*time.Minute), false},
	} {
		if got := p.OfLastStep(&test.m); got != test.want {
			t.Errorf("OfLastStep returns %v for %+v", got, test.m)
		}
	}
}

// TestMerge: Merge joins two states that diverged from one.
func TestMerge(t *testing.T) {
	for name, test := range map[string]struct {
		stored, sent []func(*page.Page)
		state        outbox.PageState
		holder       e164.Number
		steps        int
		people       int
	}{
		"nothing":                            {nil, nil, outbox.PageOpen, "", 0, 1},
		"a step was sent":                    {nil, []func(*page.Page){escalate(5*time.Minute, bob)}, outbox.PageOpen, "", 1, 2},
		"a step was stored":                  {[]func(*page.Page){escalate(5*time.Minute, bob)}, nil, outbox.PageOpen, "", 1, 2},
		"acknowledged without the store":     {nil, []func(*page.Page){acknowledge(alice, time.Minute)}, outbox.PageAcknowledged, alice.Number, 0, 1},
		"acknowledged, and escalated":        {[]func(*page.Page){acknowledge(alice, time.Minute)}, []func(*page.Page){escalate(5*time.Minute, bob)}, outbox.PageAcknowledged, alice.Number, 1, 2},
		"acknowledged twice":                 {[]func(*page.Page){acknowledge(alice, time.Minute)}, []func(*page.Page){acknowledge(bob, 2*time.Minute)}, outbox.PageAcknowledged, alice.Number, 0, 1},
		"undone without the store":           {[]func(*page.Page){acknowledge(alice, time.Minute)}, []func(*page.Page){acknowledge(alice, time.Minute), func(p *page.Page) { p.Undo(plan, alice, at(2*time.Minute)) }}, outbox.PageOpen, "", 0, 1},
		"reopened after the acknowledgement": {[]func(*page.Page){acknowledge(alice, time.Minute), func(p *page.Page) { p.Reopen([]outbox.Person{bob}, at(time.Hour), "") }}, []func(*page.Page){acknowledge(alice, 2*time.Minute)}, outbox.PageOpen, "", 0, 2},
		"resolved without the store":         {nil, []func(*page.Page){resolve}, outbox.PageResolved, "", 0, 1},
		"resolved, then acknowledged":        {[]func(*page.Page){resolve}, []func(*page.Page){acknowledge(alice, time.Minute)}, outbox.PageResolved, "", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, other := after(test.stored...), after(test.sent...)
			p.Merge(other)
			if p.State != test.state || p.Holder != test.holder || p.Steps != test.steps || len(p.People) != test.people {
				t.Errorf("the page is %s, held by %q, after %d steps, %d paged; want %s, %q, %d, %d",
					p.State, p.Holder, p.Steps, len(p.People), test.state, test.holder, test.steps, test.people)
			}
			if len(p.Events) != len(other.Events) {
				t.Errorf("the page has %d events, want those of the other, %d", len(p.Events), len(other.Events))
			}
		})
	}
}

// TestLoad: Load returns a page as it was stored.
func TestLoad(t *testing.T) {
	p := after(escalate(5*time.Minute, bob), acknowledge(bob, 6*time.Minute))
	got, err := page.Load(*p.Stored(), nil)
	if err != nil || got.Events != nil || got.Holder != bob.Number || got.Steps != 1 || !got.StepsFrom.Equal(begin) || len(got.People) != 2 {
		t.Errorf("the page is read as %+v, %v", got, err)
	}
	if _, err := page.Load(outbox.Page{ID: "1", Doc: []byte("{")}, nil); err == nil || !strings.Contains(err.Error(), "page 1: its document cannot be read") {
		t.Errorf("half a document gives %v", err)
	}
}

// TestLargeNotification: a page keeps the most severe alerts of a large notification, within bounds.
func TestLargeNotification(t *testing.T) {
	n := firing(strings.Split(strings.Repeat("x ", 1000), " ")...)
	for i := range n.Alerts {
		n.Alerts[i].Fingerprint = fmt.Sprint(i)
		n.Alerts[i].Annotations = template.KV{"description": strings.Repeat("y", 100<<10)}
	}
	p := page.Open("1", "4821", "oncall", n, nil, begin)
	p.Begin(nil, begin)
	if doc := p.Stored().Doc; len(doc) > 500<<10 || len(p.Notification.Alerts) == 0 || len(p.Live()) != len(n.Alerts) {
		t.Errorf("the page keeps %d bytes, %d alerts and %d keys", len(doc), len(p.Notification.Alerts), len(p.Live()))
	}
}

// TestCommonValues: common values of a payload that no alert has itself survive storing.
func TestCommonValues(t *testing.T) {
	n := firing("a", "b")
	n.CommonAnnotations = template.KV{"summary": "The disk is full.", "runbook": "old"}
	n.CommonLabels = template.KV{"cluster": "eu", "severity": "warning"}
	n.Alerts[0].Annotations = template.KV{"runbook": "one"}
	p, err := page.Load(*page.Open("1", "4821", "oncall", n, nil, begin).Stored(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Notification.CommonAnnotations, p.Notification.CommonLabels); got != "summary=The disk is full. cluster=eu, severity=critical" {
		t.Errorf("the common values are %s", got)
	}
}
