package intake_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestDuplicatesOfTheLatestState: a notification is a duplicate if it equals the latest state of its
// group, in memory or in the store, whichever replica received that state (report alertmanager.md, 1
// and 15).
func TestDuplicatesOfTheLatestState(t *testing.T) {
	const hour = `2026-11-28T03:00:00Z`
	type step struct {
		after          time.Duration
		status, source string
		reason, org    string
		want           intake.Status
	}
	const first, ended, repeat = "first notification", "all alerts resolved", "repeat interval elapsed"
	for name, steps := range map[string][]step{
		"the alert fires again with its old start": {
			{0, "firing", "http://am1", first, "", intake.Accepted},
			{5 * time.Second, "resolved", "http://am1", ended, "", intake.Accepted},
			{time.Second, "firing", "http://am1", first, "", intake.Accepted},
			{15 * time.Second, "resolved", "http://am1", ended, "", intake.Accepted},
			{time.Second, "firing", "http://am1", first, "", intake.Accepted},
		},
		"without reasons or addresses": {
			{0, "firing", "", "", "", intake.Accepted},
			{time.Second, "firing", "", "", "", intake.Duplicate},
			{time.Second, "resolved", "", "", "", intake.Accepted},
			{time.Second, "firing", "", "", "", intake.Accepted},
			{2 * time.Minute, "firing", "", "", "", intake.Accepted},
		},
		"a twin sends a known state, then the one before it": {
			{0, "firing", "http://am1", first, "", intake.Accepted},
			{time.Second, "resolved", "http://am1", ended, "", intake.Accepted},
			{3 * time.Second, "firing", "http://am2", first, "", intake.Duplicate},
			{time.Second, "resolved", "http://am2", ended, "", intake.Duplicate},
			{time.Second, "firing", "http://am2", first, "", intake.Accepted}, // this Alertmanager has already sent the resolution
		},
		"a peer fires long after the end": {
			{0, "firing", "http://am1", first, "", intake.Accepted},
			{time.Second, "resolved", "http://am1", ended, "", intake.Accepted},
			{31 * time.Second, "firing", "http://am2", first, "", intake.Accepted},
		},
		"Alertmanager forgets what it sent a quarter of an hour ago": {
			{0, "firing", "http://am1", first, "", intake.Accepted},
			{15 * time.Minute, "firing", "http://am1", first, "", intake.Duplicate},
			{5 * time.Minute, "firing", "http://am1", first, "", intake.Accepted},
		},
		"a repeat": {
			{0, "firing", "http://am1", first, "", intake.Accepted},
			{59 * time.Second, "firing", "http://am1", repeat, "", intake.Duplicate},
			{2 * time.Second, "firing", "http://am1", repeat, "", intake.Accepted},
		},
		"two organizations": {
			{0, "firing", "http://grafana", "", "1", intake.Accepted},
			{time.Second, "firing", "http://grafana", "", "2", intake.Accepted},
			{time.Second, "firing", "http://grafana", "", "1", intake.Duplicate},
		},
	} {
		for _, replicas := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%s, %d replicas", name, replicas), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{groups: make(map[outbox.Key]outbox.Sighting)}
					var ins []*intake.Intake
					for range replicas {
						ins = append(ins, newReplica(t, f, replicas > 1))
					}
					for i, s := range steps {
						time.Sleep(s.after)
						n := decode(t, fmt.Sprintf(`{"version":"4","status":%q,"groupKey":"g","externalURL":%q,"notification_reason":%q,"orgId":%q,"alerts":[{"status":%q,"labels":{"alertname":"A"},"startsAt":%q}]}`,
							s.status, s.source, s.reason, s.org, s.status, hour))
						got, err := ins[i%replicas].Notify(context.Background(), "sms", n)
						if err != nil || got.Status != s.want {
							t.Errorf("step %d is %s (%v), want %s", i, got.Status, err, s.want)
						}
					}
				})
			})
		}
	}
}

// TestNewsFromATwin: a notification that looks like a twin's late copy is news if Alertmanager lists the
// alert, or if the alert has ended since the latest state. After a restart, only the store knows the states.
func TestNewsFromATwin(t *testing.T) {
	type step struct {
		status, source string
		ended          time.Duration // how long before the notification
	}
	for name, test := range map[string]struct {
		steps []step
		fires bool
		knows bool          // Alertmanager lists all firing alerts
		want  intake.Status // of the last step
		again intake.Status // of the last step after a restart; "": want
	}{
		"a late copy":                                {[]step{{"firing", "am1", 0}, {"resolved", "am1", 0}, {"firing", "am2", 0}}, false, false, intake.Duplicate, ""},
		"the alert fires":                            {[]step{{"firing", "am1", 0}, {"resolved", "am1", 0}, {"firing", "am2", 0}}, true, false, intake.Accepted, ""},
		"the alert fires, as the latest state":       {[]step{{"firing", "am1", 0}, {"firing", "am2", 0}}, true, false, intake.Duplicate, ""},
		"the alert fires, and Alertmanager lists it": {[]step{{"firing", "am1", 0}, {"resolved", "am1", 0}, {"firing", "am2", 0}}, true, true, intake.Accepted, ""},
		"a state that is new":                        {[]step{{"resolved", "am1", 0}, {"firing", "am2", 0}}, false, false, intake.Accepted, ""},
		"a state that is new, and fires":             {[]step{{"resolved", "am1", 0}, {"firing", "am2", 0}}, true, true, intake.Accepted, ""},
		"a state that is new, and is over":           {[]step{{"resolved", "am1", 0}, {"firing", "am2", 0}}, false, true, intake.Duplicate, intake.Accepted},
		"over, but not from a twin":                  {[]step{{"resolved", "am1", 0}, {"firing", "am1", 0}}, false, true, intake.Accepted, ""},
		"over, but after a state that fires":         {[]step{{"firing", "am1", 0}, {"firing", "am2", 0}}, false, true, intake.Duplicate, ""},
		"a late copy of an end":                      {[]step{{"resolved", "am1", 0}, {"firing", "am1", 0}, {"resolved", "am2", 20 * time.Second}}, false, false, intake.Duplicate, ""},
		"an end":                                     {[]step{{"resolved", "am1", 0}, {"firing", "am1", 0}, {"resolved", "am2", 2 * time.Second}}, false, false, intake.Accepted, ""},
		"an end, a little before it fired":           {[]step{{"resolved", "am1", 0}, {"firing", "am1", 0}, {"resolved", "am2", 12 * time.Second}}, false, false, intake.Accepted, ""},
	} {
		for _, restarts := range []bool{false, true} {
			want := test.want
			if restarts {
				want = cmp.Or(test.again, want)
			}
			t.Run(fmt.Sprintf("%s, restart %t", name, restarts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{groups: make(map[outbox.Key]outbox.Sighting), fires: test.fires, knows: test.knows}
					in := newIntake(t, f)
					var got intake.Result
					for i, s := range test.steps {
						time.Sleep(10 * time.Second)
						if restarts && i == len(test.steps)-1 {
							in = newIntake(t, f)
						}
						var err error
						if got, err = in.Notify(context.Background(), "sms", decode(t, fmt.Sprintf(
							`{"version":"4","status":%q,"groupKey":"g","externalURL":"http://%s","notification_reason":"first notification","alerts":[{"status":%q,"labels":{"alertname":"A"},"startsAt":"1999-12-31T23:00:00Z","endsAt":%q}]}`,
							s.status, s.source, s.status, time.Now().Add(-s.ended).Format(time.RFC3339)))); err != nil {
							t.Fatal(err)
						}
					}
					if got.Status != want {
						t.Errorf("the last notification is %s, want %s", got.Status, want)
					}
				})
			})
		}
	}
}

// TestFlappingGroup: the text of a group that flaps mentions it.
func TestFlappingGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{groups: make(map[outbox.Key]outbox.Sighting)}
		in := newIntake(t, f)
		resolved := strings.NewReplacer("first notification", "all alerts resolved", `"firing"`, `"resolved"`).Replace(firing)
		for i, want := range []string{"CRITICAL", "RESOLVED", "", "Flapping: 3 changes in 2 min", "Flapping: 4 changes in 3 min"} {
			body := []string{firing, resolved}[i%2]
			if _, err := in.Notify(context.Background(), "sms", decode(t, body)); err != nil {
				t.Fatal(err)
			}
			text := f.added[i].Messages[0].Text
			if strings.Contains(text, "Flapping") != strings.HasPrefix(want, "Flapping") || strings.HasPrefix(want, "Flapping") && !strings.HasSuffix(text, want) {
				t.Errorf("the text of step %d is %q, want %q", i, text, want)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestIgnoredStatesCount: a resolved notification that is not sent still changes the state of its group.
func TestIgnoredStatesCount(t *testing.T) {
	f := &fake{groups: make(map[outbox.Key]outbox.Sighting)}
	in := newIntake(t, f)
	s := settings(t)
	s.Receivers[0].SendResolved = false
	in.Configure(s)
	resolved := strings.NewReplacer("first notification", "all alerts resolved", `"firing"`, `"resolved"`).Replace(firing)
	for i, body := range []string{firing, resolved, firing} {
		want := []intake.Status{intake.Accepted, intake.Ignored, intake.Accepted}[i]
		if got, err := in.Notify(context.Background(), "sms", decode(t, body)); err != nil || got.Status != want {
			t.Errorf("step %d is %s (%v), want %s", i, got.Status, err, want)
		}
	}
}

// TestLargeBody: if a body exceeds max_body_bytes, as many alerts as fit are read, and the rest count
// as truncated (report alertmanager.md, 4).
func TestLargeBody(t *testing.T) {
	body := func(alerts int, status string) string {
		all := make([]string, alerts)
		for i := range all {
			all[i] = fmt.Sprintf(`{"status":%q,"labels":{"alertname":"X","instance":"node-%d"},"annotations":{"summary":%q}}`, status, i, strings.Repeat("y", 400))
		}
		return `{"receiver":"sms","status":"` + status + `","alerts":[` + strings.Join(all, ",") + `],"groupLabels":{"alertname":"X"},"commonLabels":{"alertname":"X"},"version":"4","groupKey":"g` + fmt.Sprint(alerts, status) + `","truncatedAlerts":0}`
	}
	one := strings.Replace(body(1, "firing"), strings.Repeat("y", 400), strings.Repeat("y", 1<<20+1), 1)
	for name, tc := range map[string]struct {
		body string
		code int
		text string // the text of the first message contains it
	}{
		"the body fits":                 {body(1000, "firing"), 200, ""},
		"a storm":                       {body(5000, "firing"), 200, " more of unknown severity fire"},
		"all alerts are resolved":       {body(5000, "resolved"), 200, "RESOLVED"},
		"the only alert is too large":   {one, 200, "X"},
		"the second alert is too large": {strings.Replace(body(2, "firing"), "y\"}}]", strings.Repeat("y", 1<<21)+"\"}}]", 1), 200, "1 more of unknown severity fires"},
		"16 times as large":             {body(40000, "firing"), 413, ""},
		"the body ends too early":       {body(5000, "firing")[:2<<20], 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			in := newIntake(t, f)
			for _, known := range []bool{true, false} {
				r := httptest.NewRequest(http.MethodPost, "/alertmanager", strings.NewReader(tc.body))
				if !known {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				in.ServeHTTP(w, r)
				if w.Code != tc.code {
					t.Fatalf("the response is %d %s, want %d", w.Code, w.Body, tc.code)
				}
			}
			if tc.code == 200 && !strings.Contains(f.added[0].Messages[0].Text, tc.text) {
				t.Errorf("the text is %q, want %q in it", f.added[0].Messages[0].Text, tc.text)
			}
			if cut := strings.Contains(tc.text, "more"); tc.code == 200 && f.added[0].Messages[0].Urgent != cut {
				t.Errorf("the message is urgent: %t", !cut)
			}
		})
	}
}

// TestUnexpandedAnnotations: an annotation that a rule's template could not expand counts as absent
// (report alertmanager.md, 16).
func TestUnexpandedAnnotations(t *testing.T) {
	for _, failed := range []string{
		"<error expanding template: error executing template __alert_E: template: __alert_E:1:175: no elements>",
		" error evaluating template: error executing template: nil pointer",
	} {
		n := decode(t, fmt.Sprintf(`{"version":"4","status":"firing","commonAnnotations":{"summary":%q},"alerts":[{"status":"firing","labels":{"alertname":"E"},"annotations":{"summary":%q,"description":"Disk of db1 is full"}}]}`, failed, failed))
		if _, there := n.Alerts[0].Annotations["summary"]; there || len(n.CommonAnnotations) != 0 || n.Alerts[0].Annotations["description"] == "" {
			t.Errorf("the annotations are %v and %v", n.Alerts[0].Annotations, n.CommonAnnotations)
		}
		f := &fake{}
		if _, err := newIntake(t, f).Notify(context.Background(), "sms", n); err != nil || !strings.Contains(f.added[0].Messages[0].Text, "Disk of db1 is full") {
			t.Errorf("the text is %q (%v)", f.added[0].Messages[0].Text, err)
		}
	}
}

// TestCutIsUrgent: alerts that Alertmanager truncated may have any severity, so the message is urgent
// (report alertmanager.md, 5).
func TestCutIsUrgent(t *testing.T) {
	f := &fake{}
	in := newIntake(t, f)
	cut := strings.Replace(firing, `"alerts"`, `"truncatedAlerts":7,"alerts"`, 1)
	if _, err := in.Notify(context.Background(), "sms", decode(t, cut)); err != nil {
		t.Fatal(err)
	}
	if m := f.added[0].Messages[0]; !m.Urgent || !strings.HasSuffix(m.Text, "7 more of unknown severity fire") {
		t.Errorf("the message is urgent: %t, with text %q", m.Urgent, m.Text)
	}
}

// TestReceiverNameEndsWithSlash: a receiver whose own name ends with the slash precedes one without it
// (scenario-path-with-trailing-slash.yml).
func TestReceiverNameEndsWithSlash(t *testing.T) {
	var receivers []intake.Receiver
	for _, name := range []string{"oncall", "team/", "team", "ns/config/db"} {
		receivers = append(receivers, intake.Receiver{Receiver: &config.Receiver{Name: name}})
	}
	for name, want := range map[string]string{"oncall/": "oncall", "team/": "team/", "team": "team", "ns/config/db/": "ns/config/db", "oncall//": "oncall"} {
		if r, err := intake.Find(receivers, name); err != nil || r.Name != want {
			t.Errorf("%s is %v, %v", name, r, err)
		}
	}
	if _, err := intake.Find(receivers, "/"); err == nil {
		t.Error("a slash is a receiver")
	}
}

func settings(t testing.TB) intake.Settings {
	t.Helper()
	return intake.Settings{MaxBodyBytes: 1 << 20, Receivers: []intake.Receiver{{Text: defaultText(t), Receiver: &config.Receiver{
		Name: "sms", Recipients: []config.Recipient{{Number: "+33612345678"}, {Number: "+33612345679"}}, MaxSegments: 2, SendResolved: true, DedupeWindow: 20 * time.Minute, MaxAge: time.Hour,
	}}}}
}
