package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
)

// checkConfig is the subcommand check-config.
type checkConfig struct {
	files  []string
	output string
}

func addCheckConfig(app *kingpin.Application) (string, func(context.Context, console) error) {
	var cc checkConfig
	cmd := app.Command("check-config", "Check configuration files, their templates and secrets included. Every fault is told at once; exit code 1 where there is one. "+
		"Of valid ones it shows who is on duty in the next two weeks, with gaps, and whose phone was not verified or has stopped texts.\n\n"+
		"Example: smspager check-config smspager.yml")
	outputFlag(cmd, &cc.output)
	cmd.Arg("file", "Configuration files.").Required().StringsVar(&cc.files)
	return cmd.FullCommand(), cc.run
}

// ahead is how far the time on duty is shown.
const ahead = 14 * 24 * time.Hour

// checked is the result of one file.
type checked struct {
	File      string        `json:"file"`
	OK        bool          `json:"ok"`
	Error     string        `json:"error,omitempty"`
	Receivers int           `json:"receivers"`
	Contacts  []contactJSON `json:"contacts"`
	Duty      []onDuty      `json:"duty"` // of all rotas, in the next two weeks
	Warnings  []string      `json:"warnings,omitempty"`

	replies bool // phones can answer
}

func (cc *checkConfig) run(ctx context.Context, c console) error {
	faulty := 0
	results := []checked{}
	for _, file := range cc.files {
		r := check(ctx, file, time.Now())
		if !r.OK {
			faulty++
		}
		results = append(results, r)
	}
	if cc.output == "json" {
		if err := json.NewEncoder(c.out).Encode(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			r.draw(c)
		}
	}
	if faulty > 0 {
		return &exitError{code: 1}
	}
	return nil
}

// check checks one file. What is elsewhere, the outbox and calendars of URLs, may
// be away: that is told, but is no fault of the file.
func check(ctx context.Context, file string, now time.Time) checked {
	r := checked{File: file, Contacts: []contactJSON{}, Duty: []onDuty{}}
	cfg, err := receiver.LoadConfig(file)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Receivers = len(cfg.Receivers)
	r.OK = true
	duty, err := receiver.NewDuty(ctx, cfg)
	if err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("what the outbox knows of contacts is left out: %v", err))
	}
	for _, err := range duty.Calendars {
		if err.File {
			r.OK, r.Error = false, fmt.Sprintf("%s: %v", file, err)
		} else {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
	numbers := make(map[e164.Number]string)
	for _, contact := range cfg.Contacts {
		if first, known := numbers[contact.Number]; known {
			r.Warnings = append(r.Warnings, fmt.Sprintf("contacts %s and %s have one number: whatever it answers counts as of %s", first, contact.Name, first))
		} else {
			numbers[contact.Number] = contact.Name
		}
	}
	r.replies = cfg.TextingHouse.CallbackToken != ""
	for _, contact := range duty.Contacts {
		r.Contacts = append(r.Contacts, asContact(contact))
	}
	r.Warnings = append(r.Warnings, nobody(cfg, r.Contacts)...)
	for _, rota := range cfg.Rotas {
		for _, d := range duty.Timeline(rota.Name, now, now.Add(ahead)) {
			r.Duty = append(r.Duty, asOnDuty(rota, d))
		}
	}
	return r
}

func asContact(c receiver.Contact) contactJSON {
	shown := contactJSON{Name: c.Name, State: c.State()}
	if !c.Verified.IsZero() {
		shown.VerifiedAt = new(c.Verified.UTC())
	}
	if !c.Stopped.IsZero() {
		shown.StoppedAt = new(c.Stopped.UTC())
	}
	return shown
}

// nobody warns of receivers that page nobody, as all whom they name have stopped texts.
func nobody(cfg *config.Config, contacts []contactJSON) (warnings []string) {
	stopped := make(map[string]bool)
	for _, c := range contacts {
		stopped[c.Name] = c.State == "stopped"
	}
	for _, r := range cfg.Receivers {
		wants := func(to config.Recipient) bool { return to.Name == "" || !stopped[to.Name] }
		if r.ToLabel == "" && !slices.ContainsFunc(r.Recipients, wants) {
			warnings = append(warnings, fmt.Sprintf("receiver %s pages nobody at first: all of its to have stopped texts", r.Name))
		}
	}
	return warnings
}

func (r *checked) draw(c console) {
	if r.Error != "" {
		fmt.Fprintln(c.err, r.Error)
	}
	if r.OK {
		fmt.Fprintf(c.out, "%s: valid, %s\n", r.File, count(r.Receivers, "receiver"))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(c.err, "%s: warning: %s\n", r.File, warning)
	}
	for _, contact := range r.Contacts {
		switch {
		case contact.State == "unverified" && r.replies:
			fmt.Fprintf(c.out, "contact %s: not verified; while smspager serve runs: smspager verify %s\n", contact.Name, contact.Name)
		case contact.State == "stopped":
			fmt.Fprintf(c.out, "contact %s: has STOPPED texts, on %s, and is not paged; a reply of START ends that\n", contact.Name, local(*contact.StoppedAt))
		}
	}
	rota := ""
	for _, on := range r.Duty {
		if on.Rota != rota {
			rota = on.Rota
			fmt.Fprintf(c.out, "rota %s:\n", rota)
		}
		fmt.Fprintf(c.out, "  %s to %s  %s\n", on.Start.Format(shiftLayout), on.End.Format(shiftLayout), on.who())
	}
}
