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
	"github.com/smspager/smspager/templating/gsm7"
)

// The payloads are 01 and 02 of the project's captures: what Alertmanager 0.34.2
// sent for one critical alert, byte for byte.
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
	cmd.Flag("config.file", "The configuration file.").Short('c').Default("smspager.yml").StringVar(&p.configFile)
	cmd.Flag("receiver", "The receiver; by default the payload's, or the only one configured.").StringVar(&p.receiver)
	cmd.Flag("watch", "Show the SMS again when the configuration, a template or the payload is saved, until interrupted.").BoolVar(&p.watch)
	outputFlag(cmd, &p.output)
	cmd.Arg("payload", "The body of a webhook, as Alertmanager posts it; - reads standard input. Default: a captured one.").StringVar(&p.payload)
	return cmd.FullCommand(), p.run
}

// previewed is the JSON form.
type previewed struct {
	Receiver      string             `json:"receiver"`
	Ignored       bool               `json:"ignored"`
	Text          string             `json:"text"`
	Encoding      string             `json:"encoding"`
	Septets       int                `json:"septets"` // UTF-16 units if the encoding is ucs2
	Segments      []previewedSegment `json:"segments"`
	MaxSegments   int                `json:"max_segments"`
	Shown         int                `json:"shown"`
	Hidden        int                `json:"hidden"`
	Cut           bool               `json:"cut"`
	Choices       []choice           `json:"choices"`
	Shortened     []shortenedValue   `json:"shortened"`
	Changes       []changedString    `json:"changes"`
	TemplateError string             `json:"template_error,omitempty"`
}

type previewedSegment struct {
	Text    string `json:"text"`
	Septets int    `json:"septets"`
	Room    int    `json:"room"` // septets that the segment can hold
}

// choice is a part of the text and the rule by which it was chosen.
type choice struct {
	Part string `json:"part"`
	From string `json:"from"`
}

type shortenedValue struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type changedString struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
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
	var patterns []string // of the template files, as the last good configuration names them
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
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
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

// show renders once. It returns the patterns of the template files.
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
		return cfg.Templates, json.NewEncoder(c.out).Encode(inJSON(r))
	}
	draw(c.out, r)
	return cfg.Templates, nil
}

func inJSON(r receiver.Preview) previewed {
	out := previewed{
		Receiver: r.Receiver, Ignored: r.Ignored, Text: r.Text, Encoding: r.Size.Encoding, Septets: r.Size.Units, MaxSegments: r.MaxSegments,
		Shown: r.Shown, Hidden: r.Hidden, Cut: r.Cut, Choices: []choice{}, Shortened: []shortenedValue{}, Changes: []changedString{},
	}
	parts := gsm7.Segments(r.Text)
	for _, part := range parts {
		size := gsm7.Measure(part)
		out.Segments = append(out.Segments, previewedSegment{Text: part, Septets: size.Units, Room: room(size.Encoding, len(parts))})
	}
	for _, ch := range r.Choices() {
		out.Choices = append(out.Choices, choice(ch))
	}
	for _, s := range r.Shortened {
		out.Shortened = append(out.Shortened, shortenedValue(s))
	}
	for _, ch := range r.Changes() {
		out.Changes = append(out.Changes, changedString(ch))
	}
	if r.Err != nil {
		out.TemplateError = r.Err.Error()
	}
	return out
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
		fmt.Fprintln(w, "Cut: the text is longer than max_segments allows.")
	}
	for _, ch := range r.Changes() {
		fmt.Fprintf(w, "Transliterated: %q to %q (%d)\n", ch.From, ch.To, ch.Count)
	}
}
