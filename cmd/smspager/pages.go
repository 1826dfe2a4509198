package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kingpin/v2"
)

// pages is the subcommand pages.
type pages struct {
	running
	state, receiver string
	limit           int
	watch           bool
}

func addPages(app *kingpin.Application) (string, func(context.Context, console) error) {
	var p pages
	cmd := app.Command("pages", "List pages, newest first, with their states and holders.\n\n"+
		"Example: smspager pages --state=current")
	p.flags(cmd)
	cmd.Flag("state", "Only pages in this state: open, acknowledged, silenced, resolved, expired, or current (the first three).").StringVar(&p.state)
	cmd.Flag("receiver", "Only pages of this receiver.").StringVar(&p.receiver)
	cmd.Flag("watch", "Show each change as it happens, until interrupted.").BoolVar(&p.watch)
	cmd.Flag("limit", "The most pages to list.").Default("20").IntVar(&p.limit)
	return cmd.FullCommand(), p.run
}

func (p *pages) run(ctx context.Context, c console) error {
	q := url.Values{"limit": {strconv.Itoa(p.limit)}}
	for name, value := range map[string]string{"state": p.state, "receiver": p.receiver} {
		if value != "" {
			q.Set(name, value)
		}
	}
	path := "/api/v1/pages?" + q.Encode()
	if p.watch {
		return p.follow(ctx, c.out, path)
	}
	var list pagesJSON
	if done, err := p.get(ctx, c.out, path, &list); done || err != nil {
		return err
	}
	if len(list.Pages) == 0 {
		fmt.Fprintln(c.out, "No pages.")
	}
	for _, page := range list.Pages {
		fmt.Fprintln(c.out, line(page))
	}
	return nil
}

// line returns the line of a page in a list.
func line(p pageJSON) string {
	state := p.State
	if p.AcknowledgedBy != "" {
		state += ", " + p.AcknowledgedBy
	}
	return fmt.Sprintf("%-5s  %s  %-20s  %s  (%s)", p.Code, local(p.OpenedAt), state, plain(p.Headline), p.Receiver)
}

// plain returns text from alerts and people without what a terminal interprets: line breaks, escape
// sequences and changes of the writing direction.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

// follow shows the pages of a list, oldest first, and then each page that changes, until the context
// ends. It continues while smspager is restarted.
func (p *pages) follow(ctx context.Context, out io.Writer, path string) error {
	const pause = time.Second
	shown := make(map[string]string)
	for first := true; ctx.Err() == nil; first = false {
		var list struct{ Pages []json.RawMessage }
		if err := p.call(ctx, http.MethodGet, path, nil, &list); err != nil && first {
			return err
		}
		for _, raw := range slices.Backward(list.Pages) {
			var page pageJSON
			if err := json.Unmarshal(raw, &page); err != nil {
				return err
			}
			text := time.Now().Format(time.TimeOnly) + "  " + line(page)
			if p.output == "json" {
				text = string(raw)
			}
			if news := line(page); shown[page.ID] != news {
				shown[page.ID] = news
				fmt.Fprintln(out, text)
			}
		}
		sleep(ctx, pause)
	}
	return nil
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// pageCommand is the subcommand page.
type pageCommand struct {
	running
	id string
}

func addPage(app *kingpin.Application) (string, func(context.Context, console) error) {
	var p pageCommand
	cmd := app.Command("page", "Show one page and its history: who was paged, when each text arrived, who replied, what was escalated.\n\n"+
		"Example: smspager page 4821")
	p.flags(cmd)
	cmd.Arg("id", "The page's id, or its code.").Required().StringVar(&p.id)
	return cmd.FullCommand(), p.run
}

func (p *pageCommand) run(ctx context.Context, c console) error {
	var page pageJSON
	if done, err := p.get(ctx, c.out, "/api/v1/pages/"+url.PathEscape(p.id), &page); done || err != nil {
		return err
	}
	drawPage(c.out, page)
	return nil
}

// waiting reports whether a message waits after its latest event, and why.
func waiting(last eventJSON) (why string, waits bool) {
	switch last.Type {
	case "retry":
		return last.Detail, true
	case "queued":
		return "not sent yet; smspager health shows if the provider refuses the account", true
	case "attempt":
		return "the provider has not responded yet", true
	}
	return "", false
}

// drawPage shows a page, and below it everything that happened, in order of time.
func drawPage(w io.Writer, p pageJSON) {
	fmt.Fprintf(w, "%s, code %s, receiver %s: %s\n", plain(p.Headline), p.Code, p.Receiver, p.State)
	if p.AcknowledgedAt != nil {
		fmt.Fprintf(w, "acknowledged by %s, %s after it opened\n", p.AcknowledgedBy, p.AcknowledgedAt.Sub(p.OpenedAt).Truncate(time.Second))
	}
	events := p.Events
	for _, m := range p.Messages {
		for _, e := range m.Events {
			switch e.Type {
			case "accepted":
				line, _, _ := strings.Cut(m.Text, "\n")
				events = append(events, eventJSON{At: e.At, Type: "text sent", Who: m.To, Detail: strings.TrimSpace(fmt.Sprintf("%q %s", line, e.Detail))})
			case "held", "delivered", "failed", "expired", "superseded", "unknown":
				events = append(events, eventJSON{At: e.At, Type: "text " + e.Type, Who: m.To, Detail: e.Detail})
			case "reply":
				events = append(events, eventJSON{At: e.At, Type: "reply", Who: m.To, Detail: e.Detail})
			}
		}
		last := m.Events[len(m.Events)-1]
		if why, waits := waiting(last); waits {
			events = append(events, eventJSON{At: last.At, Type: "text waits", Who: m.To, Detail: why})
		}
	}
	slices.SortStableFunc(events, func(a, b eventJSON) int { return a.At.Compare(b.At) })
	for _, e := range events {
		fmt.Fprintf(w, "  %s  +%-8s %-16s %-14s %s\n", local(e.At), e.At.Sub(p.OpenedAt).Truncate(time.Second), e.Type, e.Who, plain(e.Detail))
	}
}

// verify is the subcommand verify.
type verify struct {
	running
	name     string
	wait     bool
	link     bool
	patience time.Duration
}

func addVerify(app *kingpin.Application) (string, func(context.Context, console) error) {
	var v verify
	cmd := app.Command("verify", "Send a contact a code to reply. The reply shows that texts arrive at that phone, and that its replies arrive here.\n\n"+
		"Example: smspager verify alice --wait\n\nExit codes: 0 sent (with --wait: verified), 1 an error, 4 not verified in time.")
	v.flags(cmd)
	cmd.Flag("link", "Add a link to the text, as texts of pages have with receivers.link: some carriers filter them.").BoolVar(&v.link)
	cmd.Flag("wait", "Wait for the reply.").BoolVar(&v.wait)
	cmd.Flag("wait.timeout", "How long to wait.").Default("10m").DurationVar(&v.patience)
	cmd.Arg("contact", "The contact's name.").Required().StringVar(&v.name)
	return cmd.FullCommand(), v.run
}

func (v *verify) run(ctx context.Context, c console) error {
	var sent struct {
		Status string `json:"status"`
	}
	asked := time.Now()
	path := "/api/v1/contacts/" + url.PathEscape(v.name) + "/verify"
	if v.link {
		path += "?link=true"
	}
	if err := v.call(ctx, http.MethodPost, path, nil, &sent); err != nil {
		return err
	}
	if !v.wait {
		return printAs(v.output, c.out, fmt.Sprintf("a code is on its way to %s; to send another and wait for the reply: smspager verify%s --wait %s", v.name, v.given(), word(v.name)), map[string]string{"contact": v.name, "state": "sent"})
	}
	if v.output == "text" {
		fmt.Fprintf(c.out, "a code is on its way to %s; waiting up to %s for the reply\n", v.name, v.patience)
	}
	ctx, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	for {
		var list struct{ Contacts []contactJSON }
		if err := v.call(ctx, http.MethodGet, "/api/v1/contacts", nil, &list); err != nil && ctx.Err() == nil {
			return err
		}
		for _, contact := range list.Contacts {
			if contact.Name == v.name && contact.VerifiedAt != nil && !contact.VerifiedAt.Before(asked.Truncate(time.Millisecond)) {
				return printAs(v.output, c.out, v.name+" is verified", map[string]string{"contact": v.name, "state": "verified"})
			}
		}
		if sleep(ctx, 500*time.Millisecond) {
			return &exitError{exitOpen, fmt.Errorf("no reply from %s %s; the code is valid for a day", v.name, within(ctx, v.patience))}
		}
	}
}
