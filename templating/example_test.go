package templating_test

import (
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating"
)

func Example() {
	set, err := templating.New(templating.Options{
		Now: func() time.Time { return time.Date(2026, 11, 24, 3, 14, 0, 0, time.UTC) },
	})
	if err != nil {
		panic(err)
	}
	text, err := set.Text(`{{ template "sms.default" . }}`, nil)
	if err != nil {
		panic(err)
	}
	r := text.Render(templating.Notification{Data: template.Data{
		Status: "firing",
		Alerts: template.Alerts{{
			Status:      "firing",
			Labels:      template.KV{"alertname": "DiskFull", "severity": "critical", "instance": "db-1:9100"},
			Annotations: template.KV{"summary": "Only 2% of /srv is free."},
			StartsAt:    time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC),
		}},
		CommonLabels: template.KV{"alertname": "DiskFull"},
	}}, templating.Budget{MaxSegments: 1})
	fmt.Println(r.Text)
	fmt.Println(r.Size)
	// Output:
	// CRITICAL DiskFull: db-1:9100: Only 2% of /srv is free, for 2h14m
	// {gsm7 64 1}
}
