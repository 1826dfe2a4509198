package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/templating"
)

// checkConfig is the subcommand check-config.
type checkConfig struct {
	files, named []string
	output       string
}

func addCheckConfig(app *kingpin.Application) (string, func(context.Context, console) error) {
	var cc checkConfig
	cmd := app.Command("check-config", "Check configuration files, including templates and secrets. It reports every fault in one run; the exit code is 1 if there is one. "+
		"For a valid file it shows who is on duty in the next two weeks, with gaps, and which phones are not verified or have stopped texts.\n\n"+
		"Example: smspager check-config smspager.yml")
	outputFlag(cmd, &cc.output)
	cmd.Flag("config.file", "A configuration file, as for the other commands; may be repeated.").Short('c').StringsVar(&cc.named)
	cmd.Arg("file", "Configuration files. Default: smspager.yml.").StringsVar(&cc.files)
	return cmd.FullCommand(), cc.run
}

// ahead is how far ahead shifts are shown.
const ahead = 14 * 24 * time.Hour

// checked is the result of checking one file.
type checked struct {
	File      string        `json:"file"`
	OK        bool          `json:"ok"`
	Error     string        `json:"error,omitempty"`
	Receivers int           `json:"receivers"`
	Contacts  []contactJSON `json:"contacts"`
	Duty      []onDuty      `json:"duty"`             // shifts of all rotas in the next two weeks
	Titles    []titleJSON   `json:"titles,omitempty"` // titles of shifts, if they hold other words than names
	Warnings  []string      `json:"warnings,omitempty"`
	Zones     zonesJSON     `json:"tzdata"`

	replies bool // phones can reply
}

// zonesJSON describes the time zone data in use.
type zonesJSON struct {
	Release string `json:"release"`
	Source  string `json:"source"` // a folder, or "program"
}

func (cc *checkConfig) run(ctx context.Context, c console) error {
	faulty := 0
	results := []checked{}
	files := slices.Concat(cc.files, cc.named)
	if len(files) == 0 {
		files = []string{defaultConfig}
	}
	for _, file := range files {
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

// check checks one file. If the outbox or a calendar's URL cannot be read, that is a warning, because the file is
// not wrong.
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
		r.Warnings = append(r.Warnings, fmt.Sprintf("the state of phones is not shown: %v", err))
	}
	r.Zones = zonesJSON(duty.Zones)
	for _, err := range duty.Calendars {
		if err.File {
			r.OK, r.Error = false, fmt.Sprintf("%s: %v", file, err)
		} else {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
	r.Warnings = append(r.Warnings, duty.Warnings...)
	if old := duty.Zones.Outdated(); old != "" {
		r.Warnings = append(r.Warnings, old)
	}
	numbers := make(map[e164.Number]string)
	for _, contact := range cfg.Contacts {
		if first, known := numbers[contact.Number]; known {
			r.Warnings = append(r.Warnings, fmt.Sprintf("contacts %s and %s have the same number; its replies count as %s's", first, contact.Name, first))
		} else {
			numbers[contact.Number] = contact.Name
		}
	}
	r.Warnings = append(r.Warnings, oddNumbers(cfg)...)
	r.replies = cfg.TextingHouse.CallbackToken != ""
	for _, contact := range duty.Contacts {
		r.Contacts = append(r.Contacts, asContact(contact))
	}
	r.Warnings = append(r.Warnings, nobody(cfg, r.Contacts)...)
	if r.replies && len(r.Contacts) > 0 && !slices.ContainsFunc(r.Contacts, func(c contactJSON) bool { return c.VerifiedAt != nil }) {
		r.Warnings = append(r.Warnings, "nobody has proved yet that texts arrive at their phone; while smspager serve runs, run: smspager verify"+login(file)+" CONTACT")
	}
	if err := writable(cfg.Storage.SQLite); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	}
	for _, rc := range cfg.Receivers {
		if rc.Urgent != nil && len(rc.Urgent) == 0 && len(rc.Limits) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("receiver %s: urgent is empty, so limits hold critical pages back, too; remove the key", rc.Name))
		}
	}
	for _, rota := range cfg.Rotas {
		for _, d := range duty.Timeline(rota.Name, now, now.Add(ahead)) {
			r.Duty = append(r.Duty, asOnDuty(rota, d))
		}
		for _, title := range duty.Titles(rota.Name, now, now.Add(ahead)) {
			r.Titles = append(r.Titles, titleJSON{rota.Name, title.Text, title.Contacts, title.First.In(zoneOf(rota)), title.Shifts})
		}
	}
	return r
}

// writable returns why the outbox cannot be written here. outbox is "" for a database. Another user may run
// smspager serve.
func writable(outbox string) error {
	if outbox == "" {
		return nil
	}
	if info, err := os.Stat(outbox); err == nil {
		if !info.Mode().IsRegular() {
			return notAnOutbox(outbox)
		}
		f, err := os.OpenFile(outbox, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("storage.sqlite cannot be written by this user: %w", err)
		}
		defer f.Close()
		const magic = "SQLite format 3\x00" // https://www.sqlite.org/fileformat.html, 1.3.1
		start := make([]byte, len(magic))
		if n, err := io.ReadFull(f, start); err != io.EOF && string(start[:n]) != magic { // an empty file is a new database
			return notAnOutbox(outbox)
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(outbox), ".check-config-")
	if err != nil {
		return fmt.Errorf("storage.sqlite cannot be created by this user: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func notAnOutbox(file string) error {
	return fmt.Errorf("storage.sqlite: %s is not an outbox, so pages would be sent without being stored; name another file", file)
}

// login returns the flag for the login file that smspager init wrote beside a configuration, with a space before
// it. It returns "" if there is no such file, or if the environment names a login.
func login(configFile string) string {
	file := filepath.Join(filepath.Dir(configFile), "login.yml")
	if _, err := os.Stat(file); err != nil || os.Getenv("SMSPAGER_HTTP_CONFIG_FILE") != "" {
		return ""
	}
	return " --http.config.file=" + word(file)
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

// nobody warns of receivers that page nobody, because all their contacts have stopped texts.
func nobody(cfg *config.Config, contacts []contactJSON) (warnings []string) {
	stopped := make(map[string]bool)
	for _, c := range contacts {
		stopped[c.Name] = c.State == "stopped"
	}
	for _, r := range cfg.Receivers {
		wants := func(to config.Recipient) bool { return to.Name == "" || !stopped[to.Name] }
		if r.ToLabel == "" && !slices.ContainsFunc(r.Recipients, wants) {
			warnings = append(warnings, fmt.Sprintf("receiver %s pages nobody at first: all contacts in its to have stopped texts", r.Name))
		}
	}
	return warnings
}

func (r *checked) draw(c console) {
	if r.Error != "" {
		fmt.Fprintln(c.err, r.Error)
	}
	if r.OK {
		fmt.Fprintf(c.out, "%s: valid, %s; time zones of release %s (%s)\n", r.File, templating.Counted(r.Receivers, "receiver"), r.Zones.Release, r.Zones.Source)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(c.err, "%s: warning: %s\n", r.File, warning)
	}
	for _, contact := range r.Contacts {
		switch {
		case contact.State == "unverified" && r.replies:
			fmt.Fprintf(c.out, "contact %s: not verified; while smspager serve runs, run: smspager verify%s %s\n", contact.Name, login(r.File), word(contact.Name))
		case contact.State == "stopped":
			fmt.Fprintf(c.out, "contact %s: has STOPPED texts, on %s, and is not paged; the reply START ends that\n", contact.Name, local(*contact.StoppedAt))
		}
	}
	rota := ""
	for i, on := range r.Duty {
		if on.Rota != rota {
			rota = on.Rota
			fmt.Fprintf(c.out, "rota %s:\n", rota)
		}
		fmt.Fprintf(c.out, "  %s to %s  %s\n", on.Start.Format(shiftLayout), on.End.Format(shiftLayout), on.who())
		if i+1 == len(r.Duty) || r.Duty[i+1].Rota != rota {
			r.drawTitles(c, rota)
		}
	}
}
