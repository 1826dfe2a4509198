package page_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// take is a notification at a time. In alerts, "a" fires, "-a" is resolved, and "a@2" began 2 minutes
// after the page opened.
type take struct {
	at        time.Duration
	alerts    string
	source    string // external URL
	org       string
	reason    string
	truncated uint64
}

func (s take) notification() *templating.Notification {
	n := firing()
	n.Status, n.ExternalURL, n.Org, n.NotificationReason, n.TruncatedAlerts = "resolved", s.source, s.org, s.reason, s.truncated
	for word := range strings.FieldsSeq(s.alerts) {
		name, minutes, _ := strings.Cut(word, "@")
		name, resolved := strings.CutPrefix(name, "-")
		a := firing(name).Alerts[0]
		if minutes != "" {
			var m int
			_, _ = fmt.Sscan(minutes, &m)
			a.StartsAt = at(time.Duration(m) * time.Minute)
		}
		if a.Labels["alertname"] = name; resolved {
			a.Status = "resolved"
		} else {
			n.Status = "firing"
		}
		n.Alerts = append(n.Alerts, a)
	}
	return n
}

// TestTake: notifications change the alerts of a page, which alice acknowledges after the first.
func TestTake(t *testing.T) {
	const minute = time.Minute
	for name, test := range map[string]struct {
		takes   []take
		live    string // keys of the alerts that have not ended
		over    bool
		reopens bool // after the last notification
		rest    string
	}{
		"one is resolved":                          {[]take{{0, "a b", "", "", "", 0}, {minute, "-a", "", "", "", 0}}, "b@", false, false, "b is not resolved"},
		"both are resolved":                        {[]take{{0, "a b", "", "", "", 0}, {minute, "-a", "", "", "", 0}, {2 * minute, "-b", "", "", "", 0}}, "", true, false, ""},
		"another one is resolved":                  {[]take{{0, "a", "", "", "", 0}, {minute, "-z", "", "", "", 0}}, "a@", false, false, "a is not resolved"},
		"another one fires":                        {[]take{{0, "a", "", "", "", 0}, {minute, "a b", "", "", "", 0}}, "a@ b@", false, true, "a is not resolved, and 1 more"},
		"another one fires in a repeat":            {[]take{{0, "a", "", "", "", 0}, {minute, "a b", "", "", "repeat interval elapsed", 0}}, "a@ b@", false, false, "a is not resolved, and 1 more"},
		"a part, then all":                         {[]take{{0, "a b c", "", "", "", 0}, {minute, "b", "", "", "", 0}, {2 * minute, "a b c", "", "", "", 0}}, "a@ b@ c@", false, false, "a is not resolved, and 2 more"},
		"its start moves":                          {[]take{{0, "a", "", "", "", 0}, {minute, "a@1", "", "", "", 0}}, "a@", false, false, "a is not resolved"},
		"its start moves, and it is resolved":      {[]take{{0, "a", "http://am", "", "", 0}, {minute, "a@1", "http://am", "", "", 0}, {2 * minute, "-a@2", "http://am", "", "", 0}}, "", true, false, ""},
		"resolved, and fires again":                {[]take{{0, "a b", "", "", "", 0}, {minute, "a -b", "", "", "", 0}, {2 * minute, "a b", "", "", "", 0}}, "a@ b@", false, true, "a is not resolved, and 1 more"},
		"fires again in a repeat":                  {[]take{{0, "a b", "", "", "", 0}, {minute, "a -b", "", "", "", 0}, {2 * minute, "a b", "", "", "repeat interval elapsed", 0}}, "a@ b@", false, false, "a is not resolved, and 1 more"},
		"a peer repeats it":                        {[]take{{0, "a", "http://1", "", "", 0}, {minute, "a", "http://2", "", "", 0}, {2 * minute, "-a@1", "http://1", "", "", 0}}, "", true, false, ""},
		"a peer resolves it with another start":    {[]take{{0, "a", "http://1", "", "", 0}, {minute, "-a@1", "http://2", "", "", 0}}, "", true, false, ""},
		"two Alertmanagers":                        {[]take{{0, "a", "http://1", "", "", 0}, {minute, "a@1", "http://2", "", "", 0}, {2 * minute, "-a@1", "http://2", "", "", 0}}, "a@", false, false, "a is not resolved"},
		"two Alertmanagers, the other ends":        {[]take{{0, "a", "http://1", "", "", 0}, {minute, "a@1", "http://2", "", "", 0}, {2 * minute, "-a", "http://1", "", "", 0}}, "a@~f2dde641", false, true, "a is not resolved"},
		"two organizations":                        {[]take{{0, "a", "http://g", "1", "", 0}, {0, "a", "http://g", "2", "", 0}, {minute, "-a", "http://g", "1", "", 0}}, "a@2", false, true, "a is not resolved"},
		"some are cut":                             {[]take{{0, "a", "", "", "", 4}}, "a@", false, false, "a is not resolved"},
		"more are cut than before":                 {[]take{{0, "a", "", "", "", 4}, {minute, "a", "", "", "new alerts added", 5}}, "a@", false, true, "a is not resolved"},
		"some are cut, the listed one is resolved": {[]take{{0, "a", "", "", "", 4}, {minute, "-a b", "", "", "", 4}}, "b@", false, true, "b is not resolved"},
		"all are resolved, including the cut ones": {[]take{{0, "a b c", "", "", "", 4}, {minute, "-a", "", "", "all alerts resolved", 6}}, "", true, false, ""},
		"more are left than are cut":               {[]take{{0, "a b c", "", "", "", 0}, {minute, "-a", "", "", "all alerts resolved", 1}}, "b@ c@", false, false, "b is not resolved, and 1 more"},
	} {
		t.Run(name, func(t *testing.T) {
			p := page.Open("1", "4821", "oncall", test.takes[0].notification(), nil, begin)
			p.Begin([]outbox.Person{alice}, begin)
			p.Acknowledge(alice, begin, "")
			last := test.takes[0].notification()
			for _, s := range test.takes[1:] {
				var err error
				if p, err = page.Load(*p.Stored(), nil); err != nil { // storing loses nothing
					t.Fatal(err)
				}
				last = s.notification()
				e := p.Update(last, nil, at(s.at))
				if last.Status == "firing" && p.Reopens(last, "", at(s.at)) == "" {
					p.Notified(s.reason, e, []outbox.Person{alice}, "", at(s.at))
				}
			}
			name := func(a template.Alert) string { return a.Labels["alertname"] }
			var live []string
			for _, a := range p.Live() {
				live = append(live, a.Key)
			}
			slices.Sort(live)
			if got := strings.Join(live, " "); got != test.live || p.Over() != test.over || p.NotResolved(name) != test.rest {
				t.Errorf("%q are left, over: %t, %q; want %q, %t, %q", got, p.Over(), p.NotResolved(name), test.live, test.over, test.rest)
			}
			if reopens := p.Reopens(last, "", at(time.Hour)); (reopens != "") != test.reopens {
				t.Errorf("reopens: %q, want %t", reopens, test.reopens)
			}
		})
	}
}

// TestLearn: Alertmanager's reports change a page of alerts a and b.
func TestLearn(t *testing.T) {
	silenced := page.Known{Suppressed: true, By: "silenced by dave until 04:30 UTC", Until: at(90 * time.Minute)}
	inhibited := page.Known{Suppressed: true, By: "inhibited by another alert"}
	lists := func(a, b *page.Known) *page.Report {
		r := &page.Report{Alerts: make(map[string]page.Known)}
		if a != nil {
			r.Alerts["a"] = *a
		}
		if b != nil {
			r.Alerts["b"] = *b
		}
		return r
	}
	active := &page.Known{ListedBy: []string{"http://am"}}
	restarted := lists(nil, nil)
	const am, peer = "http://am", "http://peer"
	restarted.Starts, restarted.All = map[string]time.Time{am: at(9 * time.Minute)}, true
	knew := lists(nil, nil) // Alertmanager has been asked since its start
	knew.Starts, knew.All = map[string]time.Time{am: at(9*time.Minute + 30*time.Second)}, true
	down := lists(nil, nil) // its peer is down
	down.Starts = map[string]time.Time{am: at(time.Minute)}
	by := func(address string, r *page.Report) *page.Report {
		for name, known := range r.Alerts {
			known.ListedBy = []string{address}
			r.Alerts[name] = known
		}
		return r
	}
	half := lists(active, nil)
	half.Starts = restarted.Starts
	for name, test := range map[string]struct {
		reports []*page.Report // at 10m, 11m, ...
		state   outbox.PageState
		fires   bool
		asks    time.Duration
		kind    page.Kind // due at 16m
		events  string
	}{
		"both are active":                    {[]*page.Report{lists(active, active)}, outbox.PageOpen, true, 12*time.Minute + 30*time.Second, page.Ask, ""},
		"one is gone":                        {[]*page.Report{lists(active, nil)}, outbox.PageOpen, true, 11 * time.Minute, page.Ask, "gone"},
		"one is gone, then fires":            {[]*page.Report{lists(active, nil), lists(active, active)}, outbox.PageOpen, true, 13*time.Minute + 45*time.Second, page.Ask, "gone, fires"},
		"one is gone, then suppressed":       {[]*page.Report{lists(active, nil), lists(active, &silenced)}, outbox.PageOpen, true, 12 * time.Minute, page.Ask, "gone"},
		"both are gone":                      {[]*page.Report{lists(nil, nil)}, outbox.PageResolved, false, 0, page.Wait, "gone, resolved"},
		"both are silenced":                  {[]*page.Report{lists(&silenced, &silenced)}, outbox.PageOpen, false, 11 * time.Minute, page.Ask, "suppressed"},
		"one is inhibited":                   {[]*page.Report{lists(&inhibited, active)}, outbox.PageOpen, true, 12*time.Minute + 30*time.Second, page.Ask, "suppressed"},
		"it is active again":                 {[]*page.Report{lists(&silenced, &inhibited), lists(active, &inhibited)}, outbox.PageOpen, true, 13*time.Minute + 45*time.Second, page.Ask, "suppressed, fires"},
		"silenced, then gone":                {[]*page.Report{lists(&silenced, &silenced), lists(nil, nil)}, outbox.PageResolved, false, 0, page.Wait, "suppressed, gone, resolved"},
		"Alertmanager has restarted":         {[]*page.Report{restarted}, outbox.PageOpen, true, 11 * time.Minute, page.Ask, ""},
		"it has listed both since its start": {[]*page.Report{lists(active, active), knew}, outbox.PageResolved, false, 0, page.Wait, "gone, resolved"},
		"it has listed one since its start":  {[]*page.Report{lists(active, nil), knew}, outbox.PageResolved, false, 0, page.Wait, "gone, gone, resolved"},
		"it has listed none since its start": {[]*page.Report{knew}, outbox.PageOpen, true, 11*time.Minute + 30*time.Second, page.Ask, ""},
		"only its peer has listed it":        {[]*page.Report{by(peer, lists(active, active)), knew}, outbox.PageOpen, true, 11*time.Minute + 30*time.Second, page.Ask, ""},
		"its peer is down":                   {[]*page.Report{by(am, lists(active, active)), down}, outbox.PageResolved, false, 0, page.Wait, "gone, resolved"},
		"its peer knows it, and is down":     {[]*page.Report{by(peer, lists(active, active)), down}, outbox.PageOpen, true, 13*time.Minute + 45*time.Second, page.Ask, ""},
		"it lists only one of two so far":    {[]*page.Report{half}, outbox.PageOpen, true, 12*time.Minute + 30*time.Second, page.Ask, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := page.Open("1", "4821", "oncall", firing("a", "b"), nil, begin)
			p.Begin([]outbox.Person{alice}, begin)
			p.Events = nil
			for i, r := range test.reports {
				p.Learn(r, at(time.Duration(10+i)*time.Minute))
			}
			asks := &page.Plan{Pages: true, Asks: true}
			if p.Schedule(asks); p.State != test.state || p.Fires() != test.fires && p.State.Current() || test.asks > 0 && !p.DueAt.Equal(at(test.asks)) {
				t.Errorf("the page is %s, fires: %t, due after %s; want %s, %t, %s", p.State, p.Fires(), p.DueAt.Sub(begin), test.state, test.fires, test.asks)
			}
			if got := p.Next(page.Facts{Plan: asks}, at(16*time.Minute)); p.State.Current() && got.Kind != test.kind {
				t.Errorf("the due action is %+v, want %s", got, test.kind)
			}
			var events []string
			for _, e := range p.Events {
				events = append(events, string(e.Type))
			}
			if got := strings.Join(events, ", "); got != test.events {
				t.Errorf("the events are %q, want %q", got, test.events)
			}
		})
	}
}

// TestSuppressedPagesNobody: no step is due while all alerts are suppressed, or while Alertmanager does
// not list them because it has just started.
func TestSuppressedPagesNobody(t *testing.T) {
	due := func(r *page.Report) page.Kind {
		p := opened()
		p.Learn(r, at(5*time.Minute))
		return p.Next(page.Facts{Plan: plan}, at(5*time.Minute+30*time.Second)).Kind
	}
	suppressed := &page.Report{Alerts: map[string]page.Known{"a": {Suppressed: true}}}
	for name, test := range map[string]struct {
		report *page.Report
		want   page.Kind
	}{
		"active":     {&page.Report{Alerts: map[string]page.Known{"a": {}}}, page.Escalate},
		"suppressed": {suppressed, page.Wait},
		"restarted":  {&page.Report{Starts: map[string]time.Time{"am": at(5 * time.Minute)}}, page.Wait},
	} {
		if got := due(test.report); got != test.want {
			t.Errorf("%s: due is %s, want %s", name, got, test.want)
		}
	}
}

// TestFlapping: texts report a flapping page once in five minutes, and it ends two minutes after its
// alert, which changes every minute.
func TestFlapping(t *testing.T) {
	p := opened()
	quiet := func(minute int, alerts string) bool {
		n := take{alerts: alerts}.notification()
		return p.Quiet(p.Update(n, nil, at(time.Duration(minute)*time.Minute)), at(time.Duration(minute)*time.Minute))
	}
	for i, step := range []struct {
		alerts string
		quiet  bool
		text   string
		settle bool
	}{
		{"a", false, "", false},
		{"-a", false, "", false}, // the first change
		{"a", false, "", false},
		{"-a", false, "flapping: 3 changes in 2 min", true}, // the third
		{"a", true, "flapping: 4 changes in 3 min", false},
		{"-a", true, "flapping: 5 changes in 4 min", true},
		{"a b", false, "flapping: 6 changes in 5 min", false}, // b is news
		{"a b", true, "flapping: 6 changes in 6 min", false},
		{"a b", false, "flapping: 6 changes in 7 min", false}, // five minutes after the last text
	} {
		if got := quiet(i, step.alerts); got != step.quiet || p.FlapText(at(time.Duration(i)*time.Minute)) != step.text || p.SettlesAt.IsZero() == step.settle {
			t.Errorf("minute %d, %s: quiet: %t, %q, settles at %v; want %t, %q, %t", i, step.alerts, got, p.FlapText(at(time.Duration(i)*time.Minute)), p.SettlesAt, step.quiet, step.text, step.settle)
		}
	}
	quiet(9, "-a -b")
	if got := p.Next(page.Facts{Plan: plan}, at(10*time.Minute+59*time.Second)); got.Kind != page.Wait {
		t.Errorf("before it has settled, %+v is due", got)
	}
	if got := p.Next(page.Facts{Plan: plan}, at(11*time.Minute)); got.Kind != page.Settle {
		t.Errorf("after two minutes, %+v is due", got)
	}
	if p.Schedule(plan); !p.DueAt.Equal(at(11 * time.Minute)) {
		t.Errorf("the page is due after %s", p.DueAt.Sub(begin))
	}
}

// TestMove: alerts that move to a newer page leave the older one, which ends without them.
func TestMove(t *testing.T) {
	older := page.Open("1", "4821", "oncall", firing("a", "b"), nil, begin)
	older.Begin([]outbox.Person{alice}, begin)
	older.Acknowledge(alice, at(time.Minute), "")
	newer := page.Open("2", "1234", "oncall", firing("a"), older.Live(), at(time.Hour))
	if !newer.Inherit(older, at(time.Hour)) || newer.State != outbox.PageAcknowledged || newer.Holder != alice.Number {
		t.Errorf("the newer page is %s, held by %q", newer.State, newer.Holder)
	}
	if !older.Move([]string{"a@"}, newer.Code, at(time.Hour)) || !older.State.Current() || older.Holds("a@") || !older.Holds("b@") {
		t.Errorf("the older page is %s", older.State)
	}
	if older.Move([]string{"a@"}, newer.Code, at(time.Hour)) {
		t.Error("alert a moves twice")
	}
	if !older.Move([]string{"b@"}, newer.Code, at(time.Hour)) || older.State != outbox.PageResolved {
		t.Errorf("without its alerts, the older page is %s", older.State)
	}
	if last := older.Events[len(older.Events)-1]; last.Detail != "its alerts are in other pages, or have ended" {
		t.Errorf("the history ends with %+v", last)
	}
	fresh := page.Open("3", "1235", "oncall", firing("a", "c"), older.Live(), at(time.Hour))
	if fresh.Inherit(older, at(time.Hour)) {
		t.Error("a page with the new alert c inherits the acknowledgement")
	}
}

// TestKeys: whatever fingerprint a payload's template writes, the page finds its alert again.
func TestKeys(t *testing.T) {
	for _, fingerprint := range []string{"5ca1ab1e", "db 1", "db-1~disk", "alice@example", "", "~@ \t"} {
		p := page.Open("1", "1234", "oncall", firing(fingerprint), nil, begin)
		if e := p.Update(firing(fingerprint), nil, at(time.Minute)); e.Fresh || len(p.Live()) != 1 {
			t.Errorf("%q: the second notification gives %+v and %d alerts", fingerprint, e, len(p.Live()))
		}
		if keys := strings.Fields(strings.Join(p.Stored().AlertKeys, " ")); len(keys) != 1 || keys[0] != page.KeyOf(firing(fingerprint), &firing(fingerprint).Alerts[0]) {
			t.Errorf("%q: the page is stored with %q", fingerprint, keys)
		}
		n := firing(fingerprint)
		n.Status, n.Alerts[0].Status = "resolved", "resolved"
		if p.Update(n, nil, at(2*time.Minute)); !p.Over() {
			t.Errorf("%q: the page is not over", fingerprint)
		}
	}
}
