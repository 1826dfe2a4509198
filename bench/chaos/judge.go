package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// groups is how many groups are posted simultaneously. As with Alertmanager, the notifications of a
// group are posted one after another.
const groups = 24

// notification is a notification that got a 200.
type notification struct {
	group, n     int
	text         string
	ids          []string // in the order of recipients
	tries        int
	first, ended time.Time // when it was first posted, and when it got its 200
}

// post posts notifications until the context ends. Then the channel gets those that got a 200.
func (w *world) post(ctx context.Context) <-chan []notification {
	result := make(chan []notification, 1)
	var mu sync.Mutex
	var all []notification
	var posting sync.WaitGroup
	for group := range groups {
		random := rand.New(rand.NewPCG(w.seed, uint64(100+group)))
		posting.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				sent := notification{group: group, n: n, text: fmt.Sprintf("group %d notification %d", group, n), first: time.Now()}
				// Alertmanager retries until it gets a response, or has a newer state.
				for sent.ids == nil {
					r := w.replicas[(group+sent.tries)%len(w.replicas)]
					sent.ids = postOne(r.url(), sent)
					sent.tries++
					if sent.ids == nil {
						time.Sleep(100 * time.Millisecond)
					}
				}
				sent.ended = time.Now()
				mu.Lock()
				all = append(all, sent)
				mu.Unlock()
				pause(ctx, time.Duration(random.IntN(2000))*time.Millisecond)
			}
		})
	}
	go func() {
		posting.Wait()
		result <- all
	}()
	return result
}

// disturb posts alerts that limits hold, until the context ends. They are not judged.
func (w *world) disturb(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		severity := []string{"warning", "info", "none"}[n%3]
		body := fmt.Sprintf(`{"version":"4","receiver":"noise","status":"firing","groupKey":"{}:{noise=\"%d\"}","notification_reason":"first notification",
			"alerts":[{"status":"firing","labels":{"alertname":"Noise","n":"%d","severity":%q},"annotations":{"summary":"noise %d"},"startsAt":"2026-11-23T19:24:46Z"}],
			"commonAnnotations":{"summary":"noise %d"}}`, n, n, severity, n, n)
		if resp, err := client.Post(w.replicas[n%len(w.replicas)].url()+"/alertmanager", "application/json", strings.NewReader(body)); err == nil {
			resp.Body.Close()
		}
		pause(ctx, 300*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

var client = &http.Client{Timeout: 10 * time.Second}

// postOne posts a notification. It returns the IDs of its messages if it gets a 200, otherwise nil.
func postOne(url string, n notification) []string {
	body := fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"{}:{group=\"%d\"}","notification_reason":"new alerts in group",
		"alerts":[{"status":"firing","labels":{"alertname":"Chaos","n":"%d","group":"%d","severity":%q},"annotations":{"summary":%q},"startsAt":"2026-11-23T19:24:46Z"}],
		"groupLabels":{"group":"%d"},"commonLabels":{"alertname":"Chaos"},"commonAnnotations":{"summary":%q}}`, n.group, n.n, n.group, []string{"critical", "warning", "info"}[n.group%3], n.text, n.group, n.text)
	resp, err := client.Post(url+"/alertmanager", "application/json", strings.NewReader(body))
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var response struct{ Messages []string }
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(b, &response) != nil || len(response.Messages) != len(recipients) {
		return nil
	}
	return response.Messages
}

// errUnrecorded is the error for a message that the outbox does not have: a process sent the message
// while the store failed, and was killed before it could store it.
var errUnrecorded = errors.New("not in the outbox")

// event is a line of a message's history.
type event struct {
	At           time.Time
	Type, Detail string
}

// message is a message as the API returns it.
type message struct {
	ID           string
	State        string
	SupersededBy string `json:"superseded_by"`
	Events       []event
}

func (w *world) message(id string) (m message, err error) {
	resp, err := client.Get(w.replicas[0].url() + "/api/v1/messages/" + id)
	if err != nil {
		return m, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return m, fmt.Errorf("message %s: %w", id, errUnrecorded)
	default:
		return m, fmt.Errorf("message %s: %s", id, resp.Status)
	}
	return m, json.NewDecoder(resp.Body).Decode(&m)
}

// declared reports whether the history of a message says that it may arrive twice.
func (w *world) declared(id string) bool {
	m, err := w.message(id)
	return err == nil && slices.ContainsFunc(m.Events, func(e event) bool { return strings.Contains(e.Detail, "may arrive twice") })
}

// waiting returns how many messages are not sent yet, without those that limits may hold.
func (w *world) waiting() (int, error) {
	n := 0
	for _, query := range []string{"receiver=sms&state=queued", "receiver=sms&state=sending", "receiver=oncall&state=queued", "receiver=oncall&state=sending"} {
		resp, err := client.Get(w.replicas[0].url() + "/api/v1/messages?limit=500&" + query)
		if err != nil {
			return 0, err
		}
		var page struct{ Messages []message }
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			return 0, err
		}
		n += len(page.Messages)
	}
	return n, nil
}

// allSent waits until everything is sent. It is called when everything works again, and fails if
// sending takes longer than maxUnsent.
func (w *world) allSent(ctx context.Context) error {
	const maxUnsent, patience = 2 * time.Minute, 4 * time.Minute
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		n, err := w.waiting()
		took := time.Since(began).Round(time.Second)
		switch {
		case err == nil && n == 0:
			fmt.Fprintf(w.out, "everything was sent %s after everything worked\n", took)
			if took > maxUnsent {
				return fmt.Errorf("messages were not sent for %s", took)
			}
			return nil
		case took > patience || ctx.Err() != nil:
			return fmt.Errorf("%d messages are still waiting (%v)", n, err)
		}
	}
}

// accepted returns the messages that the endpoints accepted, oldest first.
func (w *world) accepted() []textinghousetest.SMS {
	var all []textinghousetest.SMS
	for _, sim := range w.sims {
		all = append(all, sim.Messages()...)
	}
	slices.SortFunc(all, func(a, b textinghousetest.SMS) int { return a.At.Compare(b.At) })
	return all
}

// send is a text to a number.
type send struct{ to, text string }

// verdict counts messages by what happened to them.
type verdict struct {
	sent, superseded, lost, disordered, unaware, unknown, excused int
	twice, declared, forgotten, restored, apart                   int
	complaints                                                    []error
}

// repeated judges a message that was accepted more than once. It is counted as forgotten if the outbox
// does not know all of the accepted ones: a process sent the first while the store failed, and was
// killed before it could store it. It is counted as apart if a replica could not store the first before
// another one sent the second.
func (w *world) repeated(v *verdict, accepted []textinghousetest.SMS, format string, args ...any) {
	for _, m := range accepted {
		if _, err := w.message(m.ClientID); errors.Is(err, errUnrecorded) {
			v.forgotten++
			return
		}
	}
	if slices.ContainsFunc(accepted, func(m textinghousetest.SMS) bool { return w.declared(m.ClientID) }) {
		v.declared++
		return
	}
	if len(accepted) == 2 && w.unaware(accepted[0], accepted[1]) {
		v.apart++
		return
	}
	v.twice++
	v.complain(format, args...)
}

func (v *verdict) complain(format string, args ...any) {
	if len(v.complaints) < 20 {
		v.complaints = append(v.complaints, fmt.Errorf(format, args...))
	}
}

// judge waits until everything is sent, and compares the notifications that got a 200 with what the
// provider has. It excuses notifications that the store lost because they were posted between a
// backup and its restoration.
func (w *world) judge(ctx context.Context, all []notification) error {
	late := w.allSent(ctx)
	byID := make(map[string][]textinghousetest.SMS)
	texts := make(map[send][]textinghousetest.SMS)
	for _, m := range w.accepted() {
		key := send{"+" + m.To, m.Text}
		byID[m.ClientID] = append(byID[m.ClientID], m)
		texts[key] = append(texts[key], m)
	}
	v := &verdict{}
	last := make(map[string]textinghousetest.SMS) // the message that was sent last, by lane
	order := make(map[string]int)                 // the number of a message's notification in its group, by ID
	for _, n := range all {
		for _, id := range n.ids {
			order[id] = n.n
		}
	}
	for _, n := range all {
		if w.lost.touch(n.first, n.ended) {
			v.excused += len(recipients)
			continue
		}
		for i, to := range recipients {
			w.judgeOne(v, n, i, texts[send{to, n.text}], last, order)
		}
	}
	for id, all := range byID {
		switch {
		case len(all) < 2 || w.declared(id):
		case slices.ContainsFunc(all, func(m textinghousetest.SMS) bool { return w.lost.touch(m.At, m.At.Add(time.Second)) }):
			v.restored++ // the backup lacks that it was sent, or that it was sent again because nobody could be asked
		default:
			v.complain("message %s was accepted %d times", id, len(all))
		}
	}
	fmt.Fprintf(w.out, "%d notifications got a 200, %d messages: %d sent, %d superseded by newer ones, %d lost, %d twice, %d twice as declared, %d out of order; because a process sent them while the store failed, and was killed before it could store them, %d twice and %d before an older one; %d before an older one and %d twice, because a replica sent them without the database, and could not store them before another one sent the other; %d excused, because a backup was restored that was older, and %d others twice\n",
		len(all), len(all)*len(recipients), v.sent, v.superseded, v.lost, v.twice, v.declared, v.disordered, v.forgotten, v.unknown, v.unaware, v.apart, v.excused, v.restored)
	return errors.Join(append(v.complaints, late)...)
}

// judgeOne judges the ith recipient's message of a notification. accepted holds what the provider accepted
// with its text and number.
func (w *world) judgeOne(v *verdict, n notification, i int, accepted []textinghousetest.SMS, last map[string]textinghousetest.SMS, order map[string]int) {
	id, lane := n.ids[i], fmt.Sprint(recipients[i], n.group)
	if len(accepted) == 0 {
		m, err := w.message(id)
		if by, known := order[m.SupersededBy]; err != nil || m.State != "superseded" || known && by < n.n {
			v.lost++
			v.complain("lost: %q to %s, 200 at %s, message %s is %s by %s %v %v", n.text, recipients[i], n.ended.UTC().Format(time.StampMilli), id, m.State, m.SupersededBy, m.Events, err)
			return
		}
		v.superseded++
		return
	}
	v.sent++
	if len(accepted) > 1 {
		w.repeated(v, accepted, "twice: %q, message %s, posted %d times, accepted as %s", n.text, id, n.tries, describe(accepted))
	}
	older := last[lane]
	if !accepted[0].At.Before(older.At) {
		last[lane] = accepted[0]
		return
	}
	_, err := w.message(accepted[0].ClientID)
	switch {
	case errors.Is(err, errUnrecorded): // nobody knew of this message any more when the older one was sent
		v.unknown++
	case w.unaware(accepted[0], older):
		v.unaware++
	default:
		v.disordered++
		v.complain("out of order: %q to %s, accepted as %s, before an older one, accepted as %s\nthe newer one: %s\nthe older one: %s",
			n.text, recipients[i], describe(accepted), describe([]textinghousetest.SMS{older}), w.history(accepted[0].ClientID), w.history(older.ClientID))
	}
}

// history returns a message's state, events, and with PostgreSQL the time when it was first stored, as
// the outbox has them.
func (w *world) history(id string) string {
	m, err := w.message(id)
	if err != nil {
		return err.Error()
	}
	text := m.State
	if at, err := w.storedAt(id); err == nil && !at.IsZero() {
		text += at.UTC().Format("; stored at 15:04:05.000")
	}
	for _, e := range m.Events {
		text += fmt.Sprintf("; %s %s %s", e.At.UTC().Format("15:04:05.000"), e.Type, e.Detail)
	}
	return text
}

// describe lists messages that the provider accepted, with their times and its IDs.
func describe(accepted []textinghousetest.SMS) string {
	var parts []string
	for _, m := range accepted {
		parts = append(parts, fmt.Sprintf("%s at %s (%s)", m.ClientID, m.At.UTC().Format(time.StampMilli), m.APIID))
	}
	return strings.Join(parts, ", ")
}
