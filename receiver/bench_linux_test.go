package receiver_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// clients posts b.N notifications over real HTTP from n clients, and reports the median and the
// 99th percentile of a client's wait.
func clients(b *testing.B, n int, post func(client *http.Client, i int) error) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	took := make(chan []time.Duration, n)
	errs := make(chan error, n)
	b.ResetTimer()
	for range n {
		go func() {
			var mine []time.Duration
			var err error
			for err == nil {
				i := next.Add(1)
				if i > int64(b.N) {
					break
				}
				began := time.Now()
				err = post(client, int(i))
				mine = append(mine, time.Since(began))
			}
			took <- mine
			errs <- err
		}()
	}
	var all []time.Duration
	for range n {
		all = append(all, <-took...)
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepted/s")
}

// BenchmarkWebhook measures the time from a client's POST to its 200. Each notification is new and
// has one recipient. The provider hangs, so only intake and the commit are measured. For
// comparison, bare-fdatasync appends 4 KiB and calls fdatasync.
func BenchmarkWebhook(b *testing.B) {
	b.Run("bare-fdatasync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 4096)
		for b.Loop() {
			if _, err := f.Write(block); err != nil {
				b.Fatal(err)
			}
			if err := syscall.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, db := range []string{"sqlite", "postgres"} {
		for _, n := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", db, n), func(b *testing.B) {
				storage := ""
				if db == "postgres" {
					_, url := database(b)
					storage = "storage: {postgres_url: \"" + url + "\"}"
				}
				c := start(b, textinghousetest.Options{}, storage+simple)
				c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Hang})
				clients(b, n, c.postNew)
			})
		}
	}
}

// postNew posts a notification of a group of its own.
func (c *chain) postNew(client *http.Client, i int) error {
	body := fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"g%d","notification_reason":"first notification",
		"alerts":[{"status":"firing","labels":{"alertname":"DiskFull","instance":"db-%d:9100","severity":"critical"},"annotations":{"summary":"The disk is full."},"startsAt":"2026-11-23T19:24:46Z"}],
		"groupLabels":{"alertname":"DiskFull"},"commonLabels":{"alertname":"DiskFull","severity":"critical"}}`, i, i)
	resp, err := client.Post(c.http.URL+"/alertmanager", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("responded %s: %w", resp.Status, err)
	}
	return nil
}

// BenchmarkRecipients pages n people through a provider that takes 50 ms a request, with the
// default of 16 simultaneous requests. It reports the time from the 200 until the provider has
// accepted the last message, as a multiple of the provider's own time.
func BenchmarkRecipients(b *testing.B) {
	const latency = 50 * time.Millisecond
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var to []string
			for i := range n {
				to = append(to, fmt.Sprintf("%q", fmt.Sprintf("+336123%05d", i)))
			}
			c := start(b, textinghousetest.Options{}, "receivers:\n  - {name: sms, limits: [], to: ["+strings.Join(to, ", ")+"]}\n")
			c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: latency, Command: "sendsms"})
			phone := c.sim.Phone("")
			var sent, responded []time.Duration
			for i := 0; b.Loop(); i++ {
				body := fmt.Sprintf(`{"version":"4","status":"firing","groupKey":"g%d","alerts":[{"status":"firing","labels":{"alertname":"DiskFull%d"}}],"commonLabels":{"alertname":"DiskFull%d"}}`, i, i, i)
				began := time.Now()
				c.post("/alertmanager/sms", body)
				ok := time.Now()
				responded = append(responded, ok.Sub(began))
				for range n {
					m, err := phone.Next(within(b))
					if err != nil || m.Text == "" {
						b.Fatal(err)
					}
				}
				sent = append(sent, time.Since(ok))
			}
			slices.Sort(sent)
			slices.Sort(responded)
			alone := latency * time.Duration((n+15)/16)
			b.ReportMetric(float64(sent[len(sent)/2])/float64(alone), "of-the-provider's-time")
			b.ReportMetric(float64(responded[len(responded)/2].Microseconds()), "µs-until-200")
		})
	}
}
