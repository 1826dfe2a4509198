package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// groups is how many groups are posted simultaneously. The notifications of a group are posted one
// after another, as Alertmanager does.
const groups = 24

// notification is a notification that got a 200.
type notification struct {
	group, n int
	text     string
	ids      []string // in the order of recipients
	tries    int
}

// post posts until the context ends. Then it sends the notifications that got a 200.
func (w *world) post(ctx context.Context) <-chan []notification {
	result := make(chan []notification, 1)
	var mu sync.Mutex
	var all []notification
	var posting sync.WaitGroup
	for group := range groups {
		random := rand.New(rand.NewPCG(w.seed, uint64(100+group)))
		posting.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				sent := notification{group: group, n: n, text: fmt.Sprintf("group %d notification %d", group, n)}
				// Alertmanager retries until it gets a response, or has a newer state.
				for sent.ids == nil {
					r := w.replicas[(group+sent.tries)%len(w.replicas)]
					sent.ids = postOne(r.url(), sent)
					sent.tries++
					if sent.ids == nil {
						time.Sleep(100 * time.Millisecond)
					}
				}
				mu.Lock()
				all = append(all, sent)
				mu.Unlock()
				pause := time.Duration(random.IntN(2000)) * time.Millisecond
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	go func() {
		posting.Wait()
		result <- all
	}()
	return result
}

var client = &http.Client{Timeout: 10 * time.Second}

// postOne posts a notification. It returns the ids of its messages if it gets a 200.
func postOne(url string, n notification) []string {
	body := fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"{}:{group=\"%d\"}","notification_reason":"new alerts in group",
		"alerts":[{"status":"firing","labels":{"alertname":"Chaos","n":"%d","group":"%d"},"startsAt":"2026-11-23T19:24:46Z"}],
		"groupLabels":{"group":"%d"},"commonLabels":{"alertname":"Chaos"},"commonAnnotations":{"summary":%q}}`, n.group, n.n, n.group, n.group, n.text)
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

// errUnrecorded is the error for a message that the outbox does not have: a process sent it while
// the store failed, and was killed before it could store it.
var errUnrecorded = errors.New("not in the outbox")

// message is a message as the API shows it.
type message struct {
	ID     string
	State  string
	Events []struct{ Type, Detail string }
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

// waiting returns how many messages are not sent.
func (w *world) waiting() (int, error) {
	n := 0
	for _, state := range []string{"queued", "sending"} {
		resp, err := client.Get(w.replicas[0].url() + "/api/v1/messages?limit=500&state=" + state)
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

// judge waits until everything is sent, and compares the notifications that got a 200 with what
// the provider has.
func (w *world) judge(ctx context.Context, all []notification) error {
	const patience = 3 * time.Minute // an account that was refused is tried again after a minute
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		n, err := w.waiting()
		if err == nil && n == 0 {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%d messages are still waiting (%v)", n, err)
		}
	}

	type send struct{ to, text string }
	taken := make(map[string]int)     // by climsgid
	texts := make(map[send]int)       // how often
	times := make(map[send]time.Time) // the first
	for _, m := range w.sim.Messages() {
		key := send{"+" + m.To, m.Text}
		taken[m.ClientID]++
		if texts[key]++; texts[key] == 1 {
			times[key] = m.At
		}
	}
	var lost, twice, disordered, unknown, superseded, sent int
	var complaints []error
	complain := func(format string, args ...any) {
		if len(complaints) < 10 {
			complaints = append(complaints, fmt.Errorf(format, args...))
		}
	}
	last := make(map[string]time.Time)
	for _, n := range all {
		for i, to := range recipients {
			key := send{to, n.text}
			lane := fmt.Sprint(to, n.group)
			switch {
			case texts[key] > 1:
				twice++
				complain("twice: %q to %s, message %s, posted %d times", n.text, to, n.ids[i], n.tries)
				fallthrough
			case texts[key] == 1:
				sent++
				if at := times[key]; at.Before(last[lane]) {
					// The older one was sent later: nobody may have known of this one any more.
					if _, err := w.message(n.ids[i]); errors.Is(err, errUnrecorded) {
						unknown++
						continue
					}
					disordered++
					complain("out of order: %q to %s at %s, after a newer one", n.text, to, at.Format(time.StampMilli))
				} else {
					last[lane] = at
				}
				continue
			}
			m, err := w.message(n.ids[i])
			if err != nil || m.State != "superseded" {
				lost++
				complain("lost: %q to %s, message %s is %s %v %v", n.text, to, n.ids[i], m.State, m.Events, err)
				continue
			}
			superseded++
		}
	}
	again := 0
	for id, n := range taken {
		if n > 1 {
			again++
			complain("message %s was taken %d times", id, n)
		}
	}
	fmt.Fprintf(w.out, "%d notifications got a 200, %d messages: %d sent, %d superseded by newer ones, %d lost, %d twice, %d out of order; %d before an older one, because a process sent them while the store failed, and was killed before it could store them\n",
		len(all), len(all)*len(recipients), sent, superseded, lost, twice, disordered, unknown)
	return errors.Join(complaints...)
}
