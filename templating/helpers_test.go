package templating_test

import (
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating"
)

// payloadAlert is a firing alert without labels or annotations.
var payloadAlert = template.Alert{Status: "firing"}

func dataOf(status string, alerts ...template.Alert) template.Data {
	return template.Data{Status: status, Alerts: alerts}
}

// FuzzRender: whatever the labels hold, the text stays within its bounds.
func FuzzRender(f *testing.F) {
	f.Add("TargetDown", "node-1", "it is {{ down }}", "critical", "cluster", "eu", uint8(3), uint64(5), uint8(1))
	f.Add("", "", "", "", "", "", uint8(0), uint64(1<<63), uint8(0))
	tmpl := text(f, byDefault)
	f.Fuzz(func(t *testing.T, name, instance, summary, severity, label, value string, alerts uint8, truncated uint64, segments uint8) {
		n := templating.Notification{TruncatedAlerts: truncated, MayStillFire: truncated%7 == 1}
		n.Status = []string{"firing", "resolved"}[alerts%2]
		n.GroupLabels = template.KV{label: value}
		n.CommonLabels = template.KV{"alertname": name, label: value}
		for i := range alerts {
			n.Alerts = append(n.Alerts, template.Alert{
				Status:      []string{"firing", "resolved"}[i%2],
				Labels:      template.KV{"alertname": name, "instance": instance, "severity": severity, label: value},
				Annotations: template.KV{"summary": summary},
			})
		}
		most := 1 + int(segments)%4
		const code = "Re 4821"
		r := tmpl.Render(n, templating.Budget{MaxSegments: most, Tail: code})
		if !strings.HasSuffix(r.Text, "\n"+code) {
			t.Errorf("%q does not end with its tail", r.Text)
		}
		check(t, r, most)
		if r.Err != nil {
			t.Errorf("the default template fails: %v", r.Err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	tmpl := text(b, byDefault)
	for _, size := range []struct {
		name string
		n    int
	}{{"alerts=1", 1}, {"alerts=5", 5}, {"alerts=100", 100}, {"alerts=10000,annotation=10KB", 10_000}} {
		b.Run(size.name, func(b *testing.B) {
			n := group(size.n)
			if size.n == 10_000 {
				for i := range n.Alerts {
					n.Alerts[i].Annotations = template.KV{"summary": strings.Repeat("many words ", 1000)}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				tmpl.Render(n, templating.Budget{MaxSegments: 2})
			}
		})
	}
}
