package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/intake"
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
}

func addPreview(app *kingpin.Application) (string, func(context.Context, console) error) {
	var p preview
	cmd := app.Command("preview", "Show the SMS that a notification would give. Nothing is sent, and the network is not used.\n\n"+
		"Example: smspager preview -c smspager.yml --receiver=oncall payload.json")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default("smspager.yml").StringVar(&p.configFile)
	cmd.Flag("receiver", "The receiver; by default the payload's, or the only one configured.").StringVar(&p.receiver)
	outputFlag(cmd, &p.output)
	cmd.Arg("payload", "A webhook's body, as Alertmanager posts it; - reads standard input. Without it a captured one is used.").StringVar(&p.payload)
	return cmd.FullCommand(), p.run
}

// previewed is the JSON form.
type previewed struct {
	Receiver      string          `json:"receiver"`
	Ignored       bool            `json:"ignored"`
	Text          string          `json:"text"`
	Encoding      string          `json:"encoding"`
	Septets       int             `json:"septets"` // UTF-16 units where the encoding is ucs2
	Segments      []string        `json:"segments"`
	Shown         int             `json:"shown"`
	Hidden        int             `json:"hidden"`
	Cut           bool            `json:"cut"`
	Changes       []changedString `json:"changes"`
	TemplateError string          `json:"template_error,omitempty"`
}

type changedString struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
}

func (p *preview) run(_ context.Context, c console) error {
	cfg, err := receiver.LoadConfig(p.configFile)
	if err != nil {
		return err
	}
	body := firingPayload
	switch p.payload {
	case "":
		if p.receiver == "" {
			p.receiver = cfg.Receivers[0].Name
		}
	case stdinArgument:
		body, err = io.ReadAll(c.in)
	default:
		body, err = os.ReadFile(p.payload)
	}
	if err != nil {
		return err
	}
	n, err := intake.Decode(body)
	if err != nil {
		return err
	}
	r, err := receiver.NewPreview(cfg, p.receiver, n)
	if err != nil {
		return err
	}
	if p.output == "json" {
		out := previewed{
			Receiver: r.Receiver, Ignored: r.Ignored, Text: r.Text, Encoding: r.Size.Encoding, Septets: r.Size.Units,
			Segments: gsm7.Segments(r.Text), Shown: r.Shown, Hidden: r.Hidden, Cut: r.Cut, Changes: []changedString{},
		}
		for _, ch := range gsm7.Changes(r.Raw) {
			out.Changes = append(out.Changes, changedString(ch))
		}
		if r.Err != nil {
			out.TemplateError = r.Err.Error()
		}
		return json.NewEncoder(c.out).Encode(out)
	}
	draw(c.out, r)
	return nil
}

func draw(w io.Writer, r receiver.Preview) {
	fmt.Fprintf(w, "Receiver %s:\n", r.Receiver)
	if r.Ignored {
		fmt.Fprintln(w, "Nothing would be sent: the group is resolved, and the receiver has send_resolved: false. The text would be:")
	}
	drawSMS(w, r.Text)
	fmt.Fprintf(w, "%s, %d septets or units, %s to pay for each recipient\n", r.Size.Encoding, r.Size.Units, segments(r.Size.Segments))
	if r.Err != nil {
		fmt.Fprintf(w, "The template failed, and the built-in text stands in: %v\n", r.Err)
	}
	if r.Hidden > 0 {
		fmt.Fprintf(w, "Shown: %d of %d alerts; the severest and newest first.\n", r.Shown, r.Shown+r.Hidden)
	}
	if r.Cut {
		fmt.Fprintln(w, "Cut at a word, as the text is longer than max_segments allows.")
	}
	if changes := gsm7.Changes(r.Raw); len(changes) > 0 {
		var list []string
		for _, ch := range changes {
			list = append(list, fmt.Sprintf("%q to %q (%d)", ch.From, ch.To, ch.Count))
		}
		fmt.Fprintf(w, "Spelt otherwise, as an SMS cannot hold it: %s\n", strings.Join(list, ", "))
	}
}
