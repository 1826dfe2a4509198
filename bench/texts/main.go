// Command texts compares the segments of smspager's built-in texts with those of sachet's, for
// payloads captured from Alertmanager:
//
//	go run ./bench/texts [FILE...]
//
// With --corpus it renders the payloads of a corpus for another program to measure:
//
//	go run ./bench/texts --corpus=corpus.jsonl.gz >rendered.jsonl
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

func main() {
	corpus := flag.String("corpus", "", "gzipped JSON lines with id and payload")
	flag.Parse()
	var err error
	if *corpus != "" {
		err = renderCorpus(*corpus, os.Stdout)
	} else {
		err = run(flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "texts:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	if len(files) == 0 {
		var err error
		if files, err = filepath.Glob("templating/testdata/payloads/*.json"); err != nil {
			return err
		}
	}
	// A few minutes after the payloads were captured.
	text, err := defaultText(time.Date(2026, 11, 23, 19, 34, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	ours, theirs := 0, 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n, err := receiver.Decode(body)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		r := text.Render(n, templating.Budget{MaxSegments: 2})
		var data template.Data // as sachet decodes it
		if err := json.Unmarshal(body, &data); err != nil {
			return err
		}
		other := sachet(data)
		size := gsm7.Measure(other)
		ours, theirs = ours+r.Size.Segments, theirs+size.Segments
		fmt.Printf("== %s\n-- smspager, %v:\n%s\n-- sachet, %v:\n%s\n\n", filepath.Base(file), r.Size, r.Text, size, strings.TrimRight(other, "\n"))
	}
	fmt.Printf("%d payloads: smspager %d segments, sachet %d: %.1f times as many\n", len(files), ours, theirs, float64(theirs)/float64(ours))
	return nil
}

// defaultText returns the built-in text, with the clock at now.
func defaultText(now time.Time) (*templating.Text, error) {
	set, err := templating.New(templating.Options{Alphabet: textinghouse.Alphabet, Now: func() time.Time { return now }})
	if err != nil {
		return nil, err
	}
	return set.Text(`{{ template "sms.default" . }}`, nil)
}

// sachet returns the text of sachet's newAlertText (github.com/messagebird/sachet, 65fcbca,
// cmd/sachet/handlers.go, BSD-2-Clause), with firing before resolved. Sachet's order is random.
func sachet(data template.Data) string {
	switch len(data.Alerts) {
	case 0:
		return "Alert \n" + strings.Join(data.CommonLabels.Values(), " | ")
	case 1:
		var tuples []string
		for name, value := range data.Alerts[0].Labels {
			tuples = append(tuples, name+"= "+value)
		}
		slices.Sort(tuples)
		return strings.ToUpper(data.Status) + " \n" + strings.Join(tuples, "\n")
	}
	var b strings.Builder
	for _, part := range []struct {
		name   string
		alerts template.Alerts
	}{{"Firing", data.Alerts.Firing()}, {"Resolved", data.Alerts.Resolved()}} {
		if len(part.alerts) == 0 {
			continue
		}
		b.WriteString(part.name + ": \n")
		for _, a := range part.alerts {
			b.WriteString(a.Labels["alertname"] + " @" + a.Labels["instance"])
			if exported := a.Labels["exported_instance"]; exported != "" {
				b.WriteString(" (" + exported + ")")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
