package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// Numbers that France reserves for fiction.
const (
	demoAlice = "+33639980001"
	demoBob   = "+33639980002"
)

// onCallConfig is the configuration of the night. A second represents about a minute.
const onCallConfig = `contacts:
  - {name: alice, number: "` + demoAlice + `"}
  - {name: bob, number: "` + demoBob + `"}
receivers:
  - name: sms
    to: [alice]
    escalate: [{after: 3s, to: [bob]}]
heartbeats:
  - {name: prometheus, receiver: watchdog, timeout: 5s, to: [alice]}
`

// watchdogPayload is a shortened notification by Alertmanager of the alert that always fires.
const watchdogPayload = `{"version":"4","receiver":"watchdog","status":"firing","groupKey":"{}:{alertname=\"Watchdog\"}","notification_reason":"repeat interval elapsed",
"alerts":[{"status":"firing","labels":{"alertname":"Watchdog","severity":"none"},"startsAt":"2026-11-23T19:24:46.962Z"}]}`

// night plays a night on call.
func (s *stage) night(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*demoTimeout)
	defer cancel()
	stopBeats := s.beat(ctx)
	defer stopBeats()
	fmt.Fprintln(s.out, "3. Prometheus's Watchdog alert beats all the time")
	s.alice, s.bob = &actor{s, "alice", s.sim.Phone(demoAlice)}, &actor{s, "bob", s.sim.Phone(demoBob)}
	alice, bob := s.alice, s.bob

	s.say("An alert fires. alice is paged; the text ends with the code of the page")
	if err := callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager", recent(firingPayload), new(any)); err != nil {
		return fmt.Errorf("post the webhook: %w", err)
	}
	if err := alice.reads(ctx, "CRITICAL KubePodCrashLooping"); err != nil {
		return err
	}
	s.say("alice sleeps. When her time is over, bob is paged; the text says why")
	if err := bob.reads(ctx, "No answer from alice"); err != nil {
		return err
	}
	s.say("bob replies: ok")
	if err := bob.Reply("ok"); err != nil {
		return err
	}
	for actor, want := range map[*actor]string{bob: "is yours", alice: "bob has"} {
		if err := actor.reads(ctx, want); err != nil {
			return err
		}
	}
	s.say("The alert is resolved. Everybody who was paged gets a text, and nobody else")
	if err := callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager", recent(resolvedPayload), new(any)); err != nil {
		return fmt.Errorf("post the webhook: %w", err)
	}
	for _, actor := range []*actor{alice, bob} {
		if err := actor.reads(ctx, "RESOLVED"); err != nil {
			return err
		}
	}
	s.say("Prometheus dies: its heartbeat stops")
	stopBeats()
	if err := alice.reads(ctx, "DEAD heartbeat prometheus"); err != nil {
		return err
	}
	s.say("The heartbeat comes back")
	if err := callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager/watchdog", []byte(watchdogPayload), new(any)); err != nil {
		return fmt.Errorf("post the webhook: %w", err)
	}
	if err := alice.reads(ctx, "ALIVE heartbeat prometheus"); err != nil {
		return err
	}
	return s.record(ctx)
}

// beat posts the heartbeat until stop is called or the context ends.
func (s *stage) beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		for ctx.Err() == nil {
			_ = callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager/watchdog", []byte(watchdogPayload), new(any))
			sleep(ctx, 500*time.Millisecond)
		}
	})
	return func() {
		cancel()
		beats.Wait()
	}
}

// record shows what smspager page would show.
func (s *stage) record(ctx context.Context) error {
	var list pagesJSON
	if err := callJSON(ctx, http.DefaultClient, http.MethodGet, s.base+"/api/v1/pages", nil, &list); err != nil {
		return fmt.Errorf("read the pages: %w", err)
	}
	if len(list.Pages) != 1 || list.Pages[0].State != "resolved" || list.Pages[0].AcknowledgedBy != "bob" {
		return fmt.Errorf("the page should be resolved, and acknowledged by bob: %+v", list.Pages)
	}
	var page pageJSON
	if err := callJSON(ctx, http.DefaultClient, http.MethodGet, s.base+"/api/v1/pages/"+list.Pages[0].ID, nil, &page); err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	s.say("The history is stored: smspager page " + page.Code)
	drawPage(s.out, page)
	fmt.Fprintln(s.out, "\nThat was a night on call. docs/on-call.md shows how to set it up, and has a page for the team.")
	return nil
}

func (s *stage) say(what string) { fmt.Fprintf(s.out, "\n-- %s\n", what) }

// actor is a person with a phone.
type actor struct {
	*stage
	name string
	*textinghousetest.Phone
}

// reads shows the next text, which must contain want.
func (a *actor) reads(ctx context.Context, want string) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	sms, err := a.Next(ctx)
	if err != nil {
		return fmt.Errorf("no text arrived at %s's phone: %w", a.name, err)
	}
	fmt.Fprintf(a.out, "   %s's phone:\n", a.name)
	drawSMS(a.out, sms.Text)
	if !strings.Contains(sms.Text, want) {
		return fmt.Errorf("%s's phone shows %q, without %q", a.name, sms.Text, want)
	}
	return nil
}
