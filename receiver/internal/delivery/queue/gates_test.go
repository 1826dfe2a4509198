package queue

import (
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	alice e164.Number = "+33639980001"
	bob   e164.Number = "+33639980002"
)

// start is when the terms of these tests begin.
var start = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)

// message returns a message whose ID sorts by n.
func message(n int, to e164.Number, group string) outbox.Message {
	return outbox.Message{
		ID: "m" + strconv.Itoa(1000+n), To: to, Receiver: "oncall", GroupKey: group, Severity: "warning", Text: group + strconv.Itoa(n), Segments: 1,
		State: outbox.Queued, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

// TestGates has a row for each verdict of each gate. The message of a row has passed the gates
// before that one.
func TestGates(t *testing.T) {
	const minute = time.Minute
	for _, tc := range []struct {
		gate string
		when string
		set  func(q *Queue, it *item)
		at   time.Duration // since start
		want verdict
	}{
		{gate: "freshness", when: "it is fresh"},
		{gate: "freshness", when: "a newer message supersedes it", set: func(_ *Queue, it *item) { it.own().successor = "m2" }, want: verdict{do: Drop}},
		{gate: "freshness", when: "a newer message supersedes it, but the provider may have it", set: func(_ *Queue, it *item) { it.own().successor, it.doubt = "m2", &Doubt{Ask: true} }, want: verdict{do: Ask}},
		{gate: "freshness", when: "the same while the account is refused", set: func(q *Queue, it *item) { it.own().successor, it.doubt = "m2", &Doubt{Ask: true}; q.Block(start) }},
		{gate: "freshness", when: "it is too old", at: 2 * time.Hour, want: verdict{do: Drop}},
		{gate: "freshness", when: "it is too old because it was held", at: 2 * time.Hour, set: func(_ *Queue, it *item) { it.wasHeld = true }},
		{gate: "account", when: "the account works"},
		{gate: "account", when: "the account is refused", set: func(q *Queue, _ *item) { q.Block(start) }, want: verdict{phase: parked, until: start.Add(minute)}},
		{gate: "account", when: "a minute later", at: minute, set: func(q *Queue, _ *item) { q.Block(start) }},
		{gate: "account", when: "another message tries it", at: minute, set: func(q *Queue, _ *item) { q.Block(start); q.account.begin(q.maker.item(message(2, bob, "g"))) }, want: verdict{phase: parked, until: start.Add(2 * minute)}},
		{gate: "quiet hours", when: "none"},
		{gate: "quiet hours", when: "they end in a minute", set: func(_ *Queue, it *item) { it.own().notBefore = momentOf(start.Add(minute)) }, want: verdict{phase: held, until: start.Add(minute)}},
		{gate: "quiet hours", when: "they have ended", at: minute, set: func(_ *Queue, it *item) { it.own().notBefore = momentOf(start.Add(minute)) }},
		{gate: "quiet hours", when: "the provider may have it", set: func(_ *Queue, it *item) {
			it.own().notBefore, it.doubt = momentOf(start.Add(minute)), &Doubt{Ask: true, Tried: true}
		}},
		{gate: "quiet hours", when: "it was loaded", set: func(_ *Queue, it *item) {
			it.own().notBefore, it.doubt = momentOf(start.Add(minute)), &Doubt{Ask: true}
		}, want: verdict{phase: held, until: start.Add(minute)}},
		{gate: "limits", when: "there is room"},
		{gate: "limits", when: "there is no room", set: func(q *Queue, it *item) { q.limits.charge(alice, ofPages, start, false) }, want: verdict{phase: held, until: start.Add(10 * minute)}},
		{gate: "limits", when: "only another recipient has none", set: func(q *Queue, it *item) { q.limits.charge(bob, ofPages, start, false) }},
		{gate: "limits", when: "it is urgent", set: func(q *Queue, it *item) { q.limits.charge(alice, ofPages, start, false); it.class = exempt }},
		{gate: "limits", when: "it is counted already", set: func(q *Queue, it *item) { q.limits.charge(alice, ofPages, start, false); it.counted = true }},
		{gate: "limits", when: "it is too old before there is room", at: 55 * minute, set: func(q *Queue, it *item) { q.limits.charge(alice, ofPages, start.Add(55*minute), false) }, want: verdict{phase: held, until: start.Add(time.Hour + time.Millisecond)}},
		{gate: "budget", when: "it is not spent"},
		{gate: "budget", when: "it is spent", set: func(q *Queue, _ *item) { q.limits.budget.spend(100, start) }, want: verdict{phase: held, until: start.Add(time.Hour)}},
		{gate: "budget", when: "it is spent, but this is among the most severe", set: func(q *Queue, it *item) { q.limits.budget.spend(100, start); it.class = limited }},
		{gate: "digest", when: "it was not held"},
		{gate: "digest", when: "it was held alone", set: func(_ *Queue, it *item) { it.phase = held }},
		{gate: "digest", when: "it was held, and is too old", at: 2 * time.Hour, set: func(_ *Queue, it *item) { it.phase, it.wasHeld = held, true }, want: verdict{do: Digest}},
		{gate: "digest", when: "it is too old, and tries a refused account", at: 2 * time.Hour, set: func(q *Queue, it *item) { it.doubt = &Doubt{Ask: true}; q.Block(start) }},
		{gate: "pace", when: "the pause is over", at: minute, set: func(q *Queue, _ *item) { q.pause, q.paced = minute, start.Add(minute) }},
		{gate: "pace", when: "it was spent on the question", set: func(q *Queue, it *item) {
			q.pause, q.paced, it.doubt = minute, start.Add(minute), &Doubt{Ask: true, Cleared: true}
		}},
		{gate: "pace", when: "the pause is not over", set: func(q *Queue, _ *item) { q.pause, q.paced = minute, start.Add(minute) }, want: verdict{phase: waiting, until: start.Add(minute)}},
		{gate: "flood", when: "no other has its text"},
		{gate: "flood", when: "a message with its text is being sent", set: func(q *Queue, it *item) { q.floods.of[it.flood] = &flood{holder: &item{}} }, want: verdict{phase: flooded}},
		{gate: "flood", when: "a message with its text was sent", set: func(q *Queue, it *item) { q.floods.of[it.flood] = &flood{free: start.Add(FloodWindow)} }, want: verdict{phase: waiting, until: start.Add(FloodWindow)}},
		{gate: "flood", when: "the window is over", at: FloodWindow, set: func(q *Queue, it *item) { q.floods.of[it.flood] = &flood{free: start.Add(FloodWindow)} }},
		{gate: "question", when: "nobody can have tried it", want: verdict{do: Send}},
		{gate: "question", when: "somebody may have tried it", set: func(_ *Queue, it *item) { it.doubt = &Doubt{Ask: true} }, want: verdict{do: Ask}},
		{gate: "question", when: "the provider has responded that it does not have it", set: func(_ *Queue, it *item) { it.doubt = &Doubt{Ask: true, Cleared: true} }, want: verdict{do: Send}},
		{gate: "question", when: "the provider has responded so, then a newer message came", set: func(_ *Queue, it *item) { it.own().successor, it.doubt = "m2", &Doubt{Ask: true, Cleared: true} }, want: verdict{do: Ask}},
		{gate: "question", when: "the provider has responded so, then the message became too old", at: 2 * time.Hour, set: func(_ *Queue, it *item) { it.doubt = &Doubt{Ask: true, Cleared: true} }, want: verdict{do: Ask}},
		{gate: "question", when: "an attempt was refused", set: func(_ *Queue, it *item) { it.doubt = &Doubt{Failures: 1} }, want: verdict{do: Send}},
	} {
		t.Run(tc.gate+": "+tc.when, func(t *testing.T) {
			q := NewQueue(start, false)
			q.Configure(Settings{Limits: map[string][]Limit{"oncall": {{1, 10 * time.Minute}}}, DailyBudget: 100}, start)
			it := q.maker.item(message(1, alice, "g"))
			it.phase = waiting
			if tc.set != nil {
				tc.set(q, it)
			}
			i := slices.IndexFunc(gates, func(g gate) bool { return g.name == tc.gate })
			got := gates[i].pass(q, it, start.Add(tc.at))
			if got.do != tc.want.do || got.phase != tc.want.phase || !got.until.Equal(tc.want.until) {
				t.Errorf("the verdict is %+v, want %+v", got, tc.want)
			}
		})
	}
	if len(gates) != 9 {
		t.Errorf("there are %d gates; give each its rows", len(gates))
	}
}

// TestLaw2: the provider is asked about each message that somebody may have tried to send.
func TestLaw2(t *testing.T) {
	for name, tc := range map[string]struct {
		from    Origin
		created time.Duration // since the term began
		state   outbox.State
		want    Action
	}{
		"new":                             {New, 0, outbox.Queued, Send},
		"new, from before the term":       {New, -time.Millisecond, outbox.Queued, Ask},
		"new, attempted":                  {New, time.Second, outbox.Sending, Ask},
		"loaded":                          {Loaded, -time.Minute, outbox.Queued, Ask},
		"loaded, by a clock that is fast": {Loaded, time.Minute, outbox.Queued, Ask},
		"not stored":                      {Direct, time.Second, outbox.Queued, Send},
	} {
		q := NewQueue(start, false)
		m := message(1, alice, "g")
		m.CreatedAt, m.State = start.Add(tc.created), tc.state
		q.Add(m, tc.from, start)
		if run, _ := q.Next(start); run.Do != tc.want {
			t.Errorf("%s: the verdict is %v, want %v", name, run.Do, tc.want)
		}
	}
}

// TestMostSevereFirst: of the due messages, the most severe goes first, then the oldest, and RESOLVED
// last, in whatever order they were added.
func TestMostSevereFirst(t *testing.T) {
	q := NewQueue(start, false)
	severities := []string{"resolved", "warning", "", "P3", "critical", "info", "P0", "high", "Critical"}
	for i, severity := range severities {
		m := message(i, alice, strconv.Itoa(i))
		m.Severity, m.Urgent = severity, severity == "critical"
		q.Add(m, New, start)
	}
	notice := message(len(severities), alice, "notice")
	notice.Severity, notice.Urgent = "", true
	q.Add(notice, New, start)
	var got []string
	for {
		run, _ := q.Next(start.Add(time.Second))
		if run.Do == Nothing {
			break
		}
		got = append(got, run.ID)
		if len(got) == 2 { // it goes before all others, although it is the newest
			late := message(20, alice, "late")
			late.Severity = "sev0"
			q.Add(late, New, start.Add(time.Second))
		}
	}
	if want := []string{"m1006", "m1004", "m1020", "m1008", "m1009", "m1007", "m1001", "m1003", "m1002", "m1005", "m1000"}; !slices.Equal(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

// TestTrials: a refused account is tried with another message each time, the most
// severe and newest first.
func TestTrials(t *testing.T) {
	q := NewQueue(start, false)
	for i, severity := range []string{"warning", "critical", "critical", "info"} {
		m := message(i, alice, strconv.Itoa(i))
		m.Severity = severity
		q.Add(m, New, start)
	}
	q.Block(start)
	var got []string
	for minute := range 6 {
		now := start.Add(time.Duration(minute) * time.Minute)
		if run, _ := q.Next(now); run.Do == Send {
			got = append(got, run.ID)
			q.Settle(Result{Run: run, Again: now.Add(time.Minute), Refused: true}, now)
		}
	}
	if want := []string{"m1002", "m1001", "m1000", "m1003", "m1002"}; !slices.Equal(got, want) {
		t.Errorf("the account is tried with %v, want %v", got, want)
	}
}

// TestLane: a lane sends one message at a time, and of those that have waited only the newest.
func TestLane(t *testing.T) {
	q := NewQueue(start, false)
	for i := range 4 {
		q.Add(message(i, alice, "g"), New, start)
		if i == 0 {
			if run, _ := q.Next(start); run.Do != Send || run.ID != "m1000" {
				t.Fatalf("the first run is %+v", run)
			}
		}
	}
	if run, _ := q.Next(start); run.Do != Nothing {
		t.Fatalf("while the first message is sent, the next run is %+v", run)
	}
	q.Settle(Result{Run: Run{ID: "m1000"}, AcceptedAt: start}, start)
	for _, want := range []Run{{Do: Drop, ID: "m1001", Successor: "m1002"}, {Do: Drop, ID: "m1002", Successor: "m1003"}, {Do: Send, ID: "m1003", Missed: 2}} {
		run, _ := q.Next(start)
		if run.Do != want.Do || run.ID != want.ID || run.Successor != want.Successor {
			t.Errorf("the next run is %+v, want %+v", run, want)
		}
		q.Settle(Result{Run: run}, start)
	}
	if q.Len() != 0 || !q.Oldest().IsZero() || len(q.lanes.first)+len(q.floods.of) > 1 {
		t.Errorf("the queue ends as %+v", q)
	}
}

// TestDroppedMessageIsAddedAgain: a message that was dropped because another replica leads holds up nothing when it is added
// again.
func TestDroppedMessageIsAddedAgain(t *testing.T) {
	q := NewQueue(start, true)
	m := message(0, alice, "g")
	q.Add(m, New, start)
	run, _ := q.Next(start)
	q.Settle(Result{Run: run, Again: start.Add(time.Minute), Doubt: Doubt{Ask: true, Tried: true, First: start, Last: start}}, start)
	q.Keep(func(string) bool { return false }, start)
	if q.Len() != 0 {
		t.Fatalf("%d messages are left", q.Len())
	}
	q.Begin(start.Add(time.Second))
	m.State = outbox.Sending
	q.Add(m, Loaded, start.Add(time.Second))
	if run, due := q.Next(start.Add(time.Second)); run.Do != Ask {
		t.Errorf("the next run is %+v, due %s; want a question", run, due)
	}
}

// TestNewTermAsksAgain: in a new term, the provider is asked about a message again, as another replica may have
// sent it since the provider responded.
func TestNewTermAsksAgain(t *testing.T) {
	q := NewQueue(start, true)
	q.Add(message(0, alice, "g"), Loaded, start)
	run, _ := q.Next(start)
	run.Doubt.Cleared = true
	for _, want := range []Action{Send, Ask} {
		q.Settle(Result{Run: run, Again: start, Doubt: run.Doubt}, start)
		if want == Ask {
			q.Begin(start.Add(time.Second))
		}
		if again, _ := q.Next(start.Add(time.Second)); again.Do != want {
			t.Errorf("the next run is %+v, want %v", again, want)
		}
	}
}

// TestSize: a hundred thousand messages may wait, on a machine with little memory.
func TestSize(t *testing.T) {
	const most = 112 // bytes; the next sizes that Go allocates are 128 and 144
	if size := unsafe.Sizeof(item{}); size > most {
		t.Errorf("an item has %d bytes, want at most %d", size, most)
	}
	q := NewQueue(start, false)
	for i := range 2 {
		q.Add(message(i, alice, strconv.Itoa(i)), Loaded, start)
		run, _ := q.Next(start)
		run.Doubt.Cleared = true
		q.Settle(Result{Run: run, Again: start.Add(time.Minute), Doubt: run.Doubt}, start)
	}
	if a, b := q.all[0].doubt, q.all[1].doubt; a != b || !a.Cleared {
		t.Errorf("two messages that the provider does not have hold %+v and %+v, want one that they share", a, b)
	}
	m := message(0, alice, "0")
	if n := testing.AllocsPerRun(100, func() { q.maker.item(m) }); n != 1 {
		t.Errorf("an item of a known address takes %v allocations, want 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { q.Add(m, Loaded, start) }); n != 0 {
		t.Errorf("Add copies a message that it does not keep: %v allocations, want 0", n)
	}
}

// TestBacklogIsSentFromTheStart: of many loaded messages, each is sent as soon as the provider has
// been asked about it, not after the questions about all others.
func TestBacklogIsSentFromTheStart(t *testing.T) {
	q := NewQueue(start, false)
	for i := range 3 {
		q.Add(message(i, alice, strconv.Itoa(i)), Loaded, start)
	}
	now := start
	for i := range 3 {
		for _, want := range []Action{Ask, Send} {
			now = now.Add(time.Millisecond)
			run, _ := q.Next(now)
			if id := "m100" + strconv.Itoa(i); run.Do != want || run.ID != id {
				t.Fatalf("it gives %v for %s, want %v for %s", run.Do, run.ID, want, id)
			}
			if run.Doubt.Cleared = want == Ask; want == Ask {
				q.Settle(Result{Run: run, Again: now, Doubt: run.Doubt}, now)
			} else {
				q.Settle(Result{Run: run, AcceptedAt: now}, now)
			}
		}
	}
}

// TestNewTermDoesNotPreferCleared: in a new term, a message is not preferred because the provider was asked about
// it in an earlier one.
func TestNewTermDoesNotPreferCleared(t *testing.T) {
	q := NewQueue(start, true)
	for i := range 3 {
		q.Add(message(i, alice, strconv.Itoa(i)), Loaded, start)
	}
	var asked []Run
	for range 2 {
		run, _ := q.Next(start)
		asked = append(asked, run)
	}
	later := start.Add(time.Second)
	for _, run := range asked {
		run.Doubt.Cleared = true
		q.Settle(Result{Run: run, Again: later, Doubt: run.Doubt}, later)
	}
	if run, _ := q.Next(later); run.ID != asked[0].ID || run.Do != Send {
		t.Fatalf("it gives %v for %s, want Send for %s", run.Do, run.ID, asked[0].ID)
	}
	q.Begin(later)
	if run, _ := q.Next(later); run.ID != "m1002" || run.Do != Ask {
		t.Errorf("it gives %v for %s, want Ask for m1002, which has been due for longest", run.Do, run.ID)
	}
}
