package notifier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/notifier"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// A program that embeds Alertmanager's pipeline makes an integration of the Notifier:
// notify.NewIntegration(n, n, "smspager", 0, "oncall").
func ExampleNew() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	dir, err := os.MkdirTemp("", "smspager-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cfg, err := config.Parse(filepath.Join(dir, "smspager.yml"), []byte(`
textinghouse: {user: acme, password: "correct horse", endpoints: ["`+provider.URL+`"]}
receivers:
  - {name: oncall, to: ["+33612345678"]}
`))
	if err != nil {
		panic(err)
	}
	r, err := receiver.New(cfg, receiver.Options{})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()

	n := notifier.New(r, notifier.Options{Receiver: "oncall"})
	group := notify.WithGroupKey(ctx, "{}:{alertname=\"DiskFull\"}") // as the pipeline does
	verdict := n.Notify(group, alert.New(model.Alert{
		Labels:      model.LabelSet{"alertname": "DiskFull", "severity": "critical"},
		Annotations: model.LabelSet{"summary": "The disk of db-1 is full."},
		StartsAt:    time.Now(), EndsAt: time.Now().Add(time.Hour),
	}, time.Now(), false))
	fmt.Println(verdict.ShouldRetry(), verdict.Err())
	sms, err := provider.Phone("+33612345678").Next(ctx)
	fmt.Println(sms.Text, err)

	stop()
	fmt.Println(<-done)
	// Output:
	// false <nil>
	// CRITICAL DiskFull: The disk of db-1 is full <nil>
	// <nil>
}
