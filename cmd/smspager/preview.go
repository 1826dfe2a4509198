package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
)

// The payloads are 01 and 02 of the project's captures, byte for byte: what Alertmanager 0.34.2
// sent for one critical alert.
//
//go:embed payloads/firing.json
var firingPayload []byte

//go:embed payloads/resolved.json
var resolvedPayload []byte

// preview is the subcommand preview.
type preview struct {
	configFile, receiver, payload, output string
	watch                                 bool
}

func addPreview(app *kingpin.Application) (string, func(context.Context, console) error) {
	var p preview
	cmd := app.Command("preview", "Show the SMS of a notification, and what was changed to make it fit. It sends nothing and uses no network.\n\n"+
		"Example: smspager preview -c smspager.yml --receiver=oncall --watch payload.json")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default(defaultConfig).StringVar(&p.configFile)
	cmd.Flag("receiver", "The receiver; by default the payload's, or the only one configured.").StringVar(&p.receiver)
	cmd.Flag("watch", "Show the SMS again when the configuration, a template or the payload is saved, until interrupted.").BoolVar(&p.watch)
	outputFlag(cmd, &p.output)
	cmd.Arg("payload", "The body of a webhook, as Alertmanager posts it; - reads standard input. Default: a captured one.").StringVar(&p.payload)
	return cmd.FullCommand(), p.run
}

func (p *preview) run(ctx context.Context, c console) error {
	if !p.watch {
		_, err := p.show(c)
		return err
	}
	if p.payload == stdinArgument {
		return errors.New("--watch cannot watch standard input; name a file")
	}
	const pause = 200 * time.Millisecond
	var patterns []string // of the template files in the last good configuration
	seen := ""
	for {
		if now := p.saved(patterns); now != seen {
			seen = now
			globs, err := p.show(c)
			if err != nil {
				fmt.Fprintf(c.err, "smspager: %s\n", strings.TrimSpace(err.Error()))
			} else if !slices.Equal(globs, patterns) {
				patterns = globs
				seen = p.saved(patterns)
			}
			if p.output == "text" {
				fmt.Fprintf(c.out, "-- %s; waiting for a file to be saved, Ctrl-C stops\n", time.Now().Format(time.TimeOnly))
			}
		}
		if sleep(ctx, pause) {
			return nil
		}
	}
}

// saved returns the names, sizes and times of all files that the text depends on.
func (p *preview) saved(patterns []string) string {
	var b strings.Builder
	for _, pattern := range append([]string{p.configFile, p.payload}, patterns...) {
		names, err := filepath.Glob(pattern)
		if err != nil {
			continue // reported by show
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return b.String()
}

// show renders the text once. It returns the patterns of the template files.
func (p *preview) show(c console) ([]string, error) {
	cfg, err := receiver.LoadConfig(p.configFile)
	if err != nil {
		return nil, err
	}
	body, name := firingPayload, p.receiver
	switch p.payload {
	case "":
		if name == "" {
			name = cfg.Receivers[0].Name
		}
	case stdinArgument:
		body, err = io.ReadAll(c.in)
	default:
		body, err = os.ReadFile(p.payload)
	}
	if err != nil {
		return cfg.Templates, err
	}
	n, err := receiver.Decode(body)
	if err != nil {
		return cfg.Templates, err
	}
	if p.payload == "" {
		n.Receiver = name
	}
	r, err := receiver.NewPreview(cfg, name, n)
	if err != nil {
		return cfg.Templates, err
	}
	if p.output == "json" {
		return cfg.Templates, json.NewEncoder(c.out).Encode(r)
	}
	if p.payload == "" {
		fmt.Fprintln(c.out, "A notification captured from Alertmanager; name a file with yours, or - for standard input.")
	}
	draw(c.out, r)
	return cfg.Templates, nil
}

func draw(w io.Writer, r receiver.Preview) {
	fmt.Fprintf(w, "Receiver %s:\n", r.Receiver)
	if r.Addressed != "" {
		fmt.Fprintf(w, "(The payload itself is for receiver %s.)\n", r.Addressed)
	}
	if r.Ignored {
		fmt.Fprintln(w, "Nothing would be sent: the group is resolved, and the receiver has send_resolved: false. The text would be:")
	}
	drawSMS(w, r.Text)
	fmt.Fprintf(w, "Cost: %s of the %d allowed, for each recipient (%s, %d septets)\n", segments(r.Size.Segments), r.MaxSegments, r.Size.Encoding, r.Size.Units)
	if r.Err != nil {
		fmt.Fprintf(w, "The template failed, and a built-in text replaces it: %v\n", r.Err)
	}
	if r.Hidden > 0 {
		fmt.Fprintf(w, "Hidden: %d of %d alerts; the most severe and newest are shown.\n", r.Hidden, r.Shown+r.Hidden)
	}
	for _, ch := range r.Choices() {
		fmt.Fprintf(w, "%s: %s\n", ch.Part, ch.From)
	}
	for _, s := range r.Shortened {
		fmt.Fprintf(w, "Shortened: %q to %q\n", s.From, s.To)
	}
	if r.Cut {
		fmt.Fprintln(w, "Cut: there is no room for the rest; docs/templates.md says what goes first.")
	}
	for _, ch := range r.Changes() {
		fmt.Fprintf(w, "Transliterated: %q to %q (%d)\n", ch.From, ch.To, ch.Count)
	}
}
