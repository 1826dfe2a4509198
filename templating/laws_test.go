package templating_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating"
)

// arbitrary returns a notification with a number of alerts, firing and resolved, whose labels and
// annotations depend on a seed.
func arbitrary(seed uint64, alerts int, words ...string) templating.Notification {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	n := templating.Notification{Data: template.Data{Status: "resolved", GroupLabels: template.KV{}, CommonLabels: template.KV{}}}
	names := []string{"DiskFull", "QueueStalled", "node_down", words[0]}[:1+r.IntN(4)]
	for i := range alerts {
		a := template.Alert{
			Status: pick("firing", "firing", "resolved"), Fingerprint: fmt.Sprintf("%016x", r.Uint64()),
			StartsAt: now().Add(-time.Duration(r.IntN(5000)) * time.Minute),
			Labels: template.KV{
				"alertname": pick(names...), "severity": pick("critical", "warning", "P1", "3", words[1]), "cluster": pick("eu", "us"),
				"instance": fmt.Sprintf("%s-%d.example:9100", pick("db", "web"), i), "pod": pick("", "node-exporter-x2lqp", "shop-6c9f7d5b8d-x2lqp"),
			},
			Annotations: template.KV{"summary": pick("", "It is full.", words[2]), "description": fmt.Sprintf("%s has %d.%d%% left. %s", words[3], i, r.IntN(1000), words[2])},
		}
		if r.IntN(2) == 0 {
			a.Labels[pick("mountpoint", "queue", "device", "persistentvolumeclaim", "own")] = fmt.Sprint(words[3], i)
		}
		if a.Status == "firing" {
			n.Status = "firing"
		}
		n.Alerts = append(n.Alerts, a)
	}
	if r.IntN(3) == 0 {
		n.GroupLabels["cluster"], n.CommonLabels["cluster"] = "eu", "eu"
	}
	return n
}

func addWords(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(2), "Alert", "page", "A summary of 3 words.", "/srv")
	f.Add(uint64(2), uint8(3), uint8(1), "Größe_1", "", "<b>x</b> https://x.example/a_b", "a b")
	f.Add(uint64(3), uint8(12), uint8(2), "X", "SEV2", "Check it. It is 5% (limit 3).", "orders")
	f.Add(uint64(5), uint8(255), uint8(1), "Alert", "page", "", "x")
	f.Add(uint64(4), uint8(200), uint8(2), "Long"+strings.Repeat("Name", 40), "none", "", "")
}

// FuzzOrder: the same payload in another order gives the same text.
func FuzzOrder(f *testing.F) {
	addWords(f)
	tmpl := text(f, byDefault)
	f.Fuzz(func(t *testing.T, seed uint64, alerts, segments uint8, a, b, c, d string) {
		n := arbitrary(seed, 1+int(alerts), a, b, c, d)
		budget := templating.Budget{MaxSegments: 1 + int(segments)%3}
		first := tmpl.Render(n, budget)
		check(t, first, budget.MaxSegments)
		n.Alerts = slices.Clone(n.Alerts)
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(n.Alerts), func(i, j int) { n.Alerts[i], n.Alerts[j] = n.Alerts[j], n.Alerts[i] })
		if again := tmpl.Render(n, budget); again.Text != first.Text {
			t.Errorf("the text is %q, in another order %q", first.Text, again.Text)
		}
	})
}

var (
	firingCount   = regexp.MustCompile(`(\d+) firing`)
	resolvedCount = regexp.MustCompile(`(\d+) resolved`)
	moreCount     = regexp.MustCompile(`\+(\d+) more$`)
)

// FuzzCount: no alert is counted twice or left out of the count.
func FuzzCount(f *testing.F) {
	addWords(f)
	tmpl := text(f, byDefault)
	f.Fuzz(func(t *testing.T, seed uint64, alerts, segments uint8, a, b, c, d string) {
		size := 2 + int(alerts)
		if seed%5 == 0 {
			size *= 5 // more than a template gets
		}
		n := arbitrary(seed, size, a, b, "", "x")
		n.TruncatedAlerts = seed % 3
		r := tmpl.Render(n, templating.Budget{MaxSegments: 1 + int(segments)%3})
		if r.Shown+r.Hidden != len(n.Alerts)+int(n.TruncatedAlerts) {
			t.Errorf("%d shown, %d hidden, of %d and %d cut", r.Shown, r.Hidden, len(n.Alerts), n.TruncatedAlerts)
		}
		if r.Cut || len(a) > 20 || strings.ContainsAny(a, "0123456789\n") || strings.ContainsAny(b, "0123456789\n") {
			return // the text may hold other numbers
		}
		firing, resolved := len(n.Alerts.Firing()), len(n.Alerts.Resolved())
		count := func(of *regexp.Regexp) int {
			if found := of.FindStringSubmatch(r.Text); found != nil {
				i, _ := strconv.Atoi(found[1])
				return i
			}
			return 0
		}
		if firing > 0 && (count(firingCount) != firing || count(resolvedCount) != resolved) {
			t.Errorf("%d firing and %d resolved alerts give %q", firing, resolved, r.Text)
		}
		if count(moreCount) != r.Hidden {
			t.Errorf("%d hidden alerts give %q", r.Hidden, r.Text)
		}
	})
}

// FuzzObject: two payloads that differ in what is broken give different texts, if it fits.
func FuzzObject(f *testing.F) {
	f.Add("DiskFull", "instance", "db-1:9100", "db-2:9100", "The disk is full.")
	f.Add("Lag", "topic", "orders", "payments", "{} lags by 7 minutes. Check the reader.")
	f.Add("Replicas", "deployment", "a", "b", "Deployment {} has 2 of 5 replicas, which is below the limit of 5")
	tmpl := text(f, byDefault)
	known := []string{"instance", "pod", "deployment", "topic", "queue", "mountpoint", "device", "node", "persistentvolumeclaim", "url", "own_label"}
	f.Fuzz(func(t *testing.T, name, label, a, b, summary string) {
		if a == b || len(a) > 40 || len(b) > 40 || len(name) > 40 || !isPlain(a) || !isPlain(b) || !isPlain(name) {
			t.Skip()
		}
		for _, other := range []string{name, summary} { // these may name it by chance
			if other = strings.ToLower(other); strings.Contains(other, strings.ToLower(a)) || strings.Contains(other, strings.ToLower(b)) {
				t.Skip()
			}
		}
		label = known[len(label)%len(known)]
		render := func(object string) string {
			return tmpl.Render(templating.Notification{Data: template.Data{Status: "firing", Alerts: template.Alerts{{
				Status: "firing", Labels: template.KV{"alertname": name, label: object, "severity": "critical"},
				Annotations: template.KV{"summary": strings.ReplaceAll(summary, "{}", object)},
			}}}}, templating.Budget{MaxSegments: 1}).Text
		}
		if x, y := render(a), render(b); x == y {
			t.Errorf("%s %q and %q both give %q", label, a, b, x)
		}
	})
}

// isPlain reports whether a value is sent unchanged, and looks neither like a number, whose digits
// may be rounded, nor like a sentence.
func isPlain(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == "" && strings.Trim(s, "-") != ""
}
