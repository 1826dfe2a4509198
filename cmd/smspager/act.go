package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// act is a subcommand that acts on pages.
type act struct {
	running
	verb  string // the last part of the URL's path
	codes []string
	by    string
	words []string // how long to silence, or the text of a note
}

// acts lists the subcommands that act on pages.
var acts = []struct{ name, path, help, example string }{
	{"ack", "acknowledge", "Acknowledge pages: you hold them, their escalation stops, and the others who were paged get a text.", "smspager ack 6279 --by=alice"},
	{"silence", "silence", "Acknowledge a page, and silence its alerts in Alertmanager.", "smspager silence 6279 2h --by=alice"},
	{"escalate", "escalate", "Take the next step of the escalation now, without waiting.", "smspager escalate 6279 --by=alice"},
	{"undo", "undo", "Reopen a page and end its silences.", "smspager undo 6279 --by=alice"},
	{"note", "note", "Add a note to a page's history. Nobody is paged.", `smspager note 6279 "the disk is on order" --by=alice`},
}

// addActs returns a function for each subcommand that acts on pages.
func addActs() (adds []func(*kingpin.Application) (string, func(context.Context, console) error)) {
	for _, one := range acts {
		adds = append(adds, func(app *kingpin.Application) (string, func(context.Context, console) error) {
			a := act{verb: one.path}
			cmd := app.Command(one.name, one.help+" A running smspager does it, as if you had replied.\n\nExample: "+one.example)
			a.flags(cmd)
			cmd.Flag("by", "The contact who acts. Default: the contact of the login.").StringVar(&a.by)
			code := func(help string) *kingpin.ArgClause { return cmd.Arg("code", help).Required() }
			switch a.verb {
			case "silence":
				a.codes = make([]string, 1)
				code("The page's code or id.").StringVar(&a.codes[0])
				cmd.Arg("length", "How long: 2h, or until 09:00.").Required().StringsVar(&a.words)
			case "note":
				a.codes = make([]string, 1)
				code("The page's code or id.").StringVar(&a.codes[0])
				cmd.Arg("text", "What others should know; - reads standard input.").Required().StringsVar(&a.words)
			default:
				code("The page's code or id, or several.").StringsVar(&a.codes)
			}
			return cmd.FullCommand(), a.run
		})
	}
	return adds
}

// actJSON is the body of a request that acts on a page.
type actJSON struct {
	Version int    `json:"version"`
	By      string `json:"by,omitempty"`
	For     string `json:"for,omitempty"`
	Until   string `json:"until,omitempty"`
	Text    string `json:"text,omitempty"`
}

func (a *act) run(ctx context.Context, c console) error {
	var failed []error
	words, err := c.words(a.words)
	if err != nil {
		return err
	}
	for _, code := range a.codes {
		if err := a.one(ctx, c, code, words); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// one acts on the latest version of a page.
func (a *act) one(ctx context.Context, c console, code, words string) error {
	body := actJSON{By: a.by}
	switch a.verb {
	case "silence":
		var err error
		if body.For, body.Until, err = silenceLength(words); err != nil {
			return err
		}
	case "note":
		body.Text = words
	}
	var page pageJSON
	path := "/api/v1/pages/" + url.PathEscape(code)
	if err := a.call(ctx, http.MethodGet, path, nil, &page); err != nil {
		return fmt.Errorf("%s: %w", code, err)
	}
	body.Version = page.Version
	path = "/api/v1/pages/" + page.ID + "/" + a.verb
	if a.output == "json" {
		return a.copy(ctx, c.out, http.MethodPost, path, body)
	}
	if err := a.call(ctx, http.MethodPost, path, body, &page); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, plain(page.Confirmation))
	return err
}

// silenceLength reads "2h", "until 09:00" and "until 9", the forms that replies have too.
func silenceLength(words string) (length, until string, err error) {
	clock, isUntil := strings.CutPrefix(strings.ToLower(words), "until ")
	if !isUntil {
		return words, "", nil
	}
	var hour, minute int
	if n, _ := fmt.Sscanf(clock+" ", "%d:%d ", &hour, &minute); n < 2 {
		if n, _ = fmt.Sscanf(clock+" ", "%d ", &hour); n < 1 {
			return "", "", fmt.Errorf("until what time? Write it like until 09:00, not %q", words)
		}
	}
	return "", fmt.Sprintf("%02d:%02d", hour, minute), nil
}

// pageNow is the subcommand page-now.
type pageNow struct {
	running
	to, severity, key, by string
	text                  []string
	resolve               bool
}

func addPageNow(app *kingpin.Application) (string, func(context.Context, console) error) {
	var p pageNow
	cmd := app.Command("page-now", "Page a receiver or a contact by hand, or from a script.\n\n"+
		"Example: smspager page-now oncall \"Backup of db-3 failed\" --key=backup\n\n"+
		"If the receiver has pages, the same key again updates the page, and --resolve ends it: smspager page-now oncall --key=backup --resolve")
	p.flags(cmd)
	cmd.Flag("severity", "The severity.").Default("critical").StringVar(&p.severity)
	cmd.Flag("key", "Names the page, so that it can be updated and resolved.").StringVar(&p.key)
	cmd.Flag("resolve", "End the page with this key.").BoolVar(&p.resolve)
	cmd.Flag("by", "The contact who pages. Default: the contact of the login.").StringVar(&p.by)
	cmd.Arg("to", "A receiver or a contact.").Required().StringVar(&p.to)
	cmd.Arg("text", "What is wrong; - reads standard input.").StringsVar(&p.text)
	return cmd.FullCommand(), p.run
}

func (p *pageNow) run(ctx context.Context, c console) error {
	text, err := c.words(p.text)
	if err != nil {
		return err
	}
	body := struct {
		To       string `json:"to"`
		Text     string `json:"text,omitempty"`
		Severity string `json:"severity,omitempty"`
		Key      string `json:"key,omitempty"`
		By       string `json:"by,omitempty"`
		Resolve  bool   `json:"resolve,omitempty"`
	}{p.to, text, p.severity, p.key, p.by, p.resolve}
	if p.output == "json" {
		return p.copy(ctx, c.out, http.MethodPost, "/api/v1/pages", body)
	}
	var paged struct {
		Status   string
		Messages []string
		Page     *pageJSON
	}
	if err := p.call(ctx, http.MethodPost, "/api/v1/pages", body, &paged); err != nil {
		return err
	}
	switch {
	case paged.Status == "duplicate":
		fmt.Fprintln(c.out, "nothing was sent: this page says the same already")
	case paged.Page == nil:
		fmt.Fprintf(c.out, "%s: %d sent\n", paged.Status, len(paged.Messages))
	default:
		fmt.Fprintf(c.out, "page %s is %s: %s. Follow it with: smspager page%s %s\n", paged.Page.Code, paged.Page.State, plain(paged.Page.Headline), p.given(), paged.Page.Code)
	}
	return nil
}
