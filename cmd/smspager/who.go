package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
)

// who is the subcommand who.
type who struct {
	running
	configFile, at string
}

func addWho(app *kingpin.Application) (string, func(context.Context, console) error) {
	var w who
	cmd := app.Command("who", "Show who is on duty in each rota, now or at another time.\n\n"+
		"Example: smspager who -c smspager.yml --at=\"2026-12-24 18:00\"\n\n"+
		"With --url, it asks a running smspager instead of reading the configuration.")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default(defaultConfig).StringVar(&w.configFile)
	cmd.Flag("at", "The time: RFC 3339, or 2026-12-24 18:00 in the machine's zone. Default: now.").StringVar(&w.at)
	w.urlFlags(cmd, "")
	outputFlag(cmd, &w.output)
	return cmd.FullCommand(), w.run
}

// onDuty is the JSON form of a shift.
type onDuty struct {
	Rota     string    `json:"rota"`
	Contacts []string  `json:"contacts"`
	Gap      bool      `json:"gap"`              // nobody is on duty; the contacts are the rota's default
	Unread   bool      `json:"unread,omitempty"` // the calendar could not be read; the contacts are the rota's default
	Unknown  []string  `json:"unknown,omitempty"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
}

// zoneOf returns the rota's zone, or else the machine's.
func zoneOf(rota config.Rota) *time.Location {
	if rota.Timezone != "" {
		return rota.Zone
	}
	return time.Local
}

// asOnDuty returns a shift with times in the rota's zone, or else in the machine's.
func asOnDuty(rota config.Rota, d receiver.OnDuty) onDuty {
	zone := zoneOf(rota)
	o := onDuty{Rota: rota.Name, Contacts: d.Contacts, Gap: d.Gap, Unread: d.Unread, Unknown: d.Unknown, Start: d.Start.In(zone), End: d.End.In(zone)}
	if o.Contacts == nil {
		o.Contacts = []string{}
	}
	return o
}

func (w *who) run(ctx context.Context, c console) error {
	at := time.Now()
	if w.at != "" {
		var err error
		if at, err = parseTime(w.at); err != nil {
			return err
		}
	}
	all, err := w.read(ctx, c, at)
	if err != nil {
		return err
	}
	if w.output == "json" {
		return json.NewEncoder(c.out).Encode(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.out, "No rota is configured (key rotas).")
	}
	for _, on := range all {
		fmt.Fprintf(c.out, "%s: %s, until %s\n", on.Rota, on.who(), on.End.Format(shiftLayout))
	}
	return nil
}

// read asks a running smspager if --url is given, and otherwise reads the configuration.
func (w *who) read(ctx context.Context, c console, at time.Time) ([]onDuty, error) {
	if w.url != "" {
		return w.ask(ctx, at)
	}
	cfg, err := receiver.LoadConfig(w.configFile)
	if err != nil {
		return nil, err
	}
	duty, err := receiver.NewDuty(ctx, cfg)
	if err != nil {
		fmt.Fprintf(c.err, "smspager: warning: read copies of calendars from the outbox: %v\n", err)
	}
	for _, err := range duty.Calendars {
		fmt.Fprintf(c.err, "smspager: warning: %v; the last good copy is used, if there is one\n", err)
	}
	for _, warning := range duty.Warnings {
		fmt.Fprintf(c.err, "smspager: warning: %s\n", warning)
	}
	all := []onDuty{}
	for _, rota := range cfg.Rotas {
		all = append(all, asOnDuty(rota, duty.At(rota.Name, at)))
	}
	return all, nil
}

// ask asks a running smspager who is on duty at a moment. A shift ends at most a month later.
func (w *who) ask(ctx context.Context, at time.Time) ([]onDuty, error) {
	q := url.Values{"from": {at.UTC().Format(time.RFC3339)}, "to": {at.UTC().AddDate(0, 1, 0).Format(time.RFC3339)}}
	var duty struct {
		Rotas []struct {
			Name, Timezone string
			Shifts         []onDuty
		}
	}
	if err := w.call(ctx, http.MethodGet, "/api/v1/duty?"+q.Encode(), nil, &duty); err != nil {
		return nil, err
	}
	all := []onDuty{}
	for _, rota := range duty.Rotas {
		if len(rota.Shifts) == 0 {
			continue
		}
		on := rota.Shifts[0]
		on.Rota = rota.Name
		if zone, err := time.LoadLocation(rota.Timezone); err == nil {
			on.Start, on.End = on.Start.In(zone), on.End.In(zone)
		}
		all = append(all, on)
	}
	return all, nil
}

const shiftLayout = "Mon 2 Jan 15:04 MST"

func (o onDuty) who() string {
	names := strings.Join(o.Contacts, ", ")
	if !o.Gap {
		return names
	}
	switch {
	case o.Unread && len(o.Contacts) == 0:
		return "unknown, because its calendar cannot be read; no default"
	case o.Unread:
		return "unknown, because its calendar cannot be read; default " + names
	}
	if len(o.Unknown) > 0 {
		names += fmt.Sprintf(" (%q is no contact)", o.Unknown[0])
	}
	if len(o.Contacts) == 0 {
		return "GAP, no default" + names
	}
	return "GAP, default " + names
}

func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", s, time.Local)
	if err != nil {
		return t, fmt.Errorf("--at must be a time such as 2026-12-24T18:00:00Z or 2026-12-24 18:00, is %q", s)
	}
	return t, nil
}
