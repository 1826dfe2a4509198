package console

import (
	"html/template"
	"net/http"
	"strings"
	"unicode"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/templating"
)

// Frame is what all pages have.
type Frame struct {
	*clock
	Base    string
	Title   string
	Path    string // of this page, with its query, for updates
	Nav     []navItem
	Caller  access.Caller
	Version string
	Still   bool     // it is not updated while it is shown
	Typed   bool     // it has fields, so that a reload without JavaScript would lose what is in them
	Banner  []notice // what is wrong
	Now     when
}

// navItem is an entry of the menu.
type navItem struct {
	Href, Name string
	Current    bool
}

// notice is a row of the banner: what is wrong, and where to repair it.
type notice struct {
	Bad        bool // something is broken; otherwise something needs care
	What, Text string
	Others     []string // the same applies to them
	Href       string   // "": nowhere
}

// menu are the pages that the menu lists.
func menu() []navItem {
	return []navItem{
		{Href: "/", Name: "Now"}, {Href: "/messages", Name: "Messages"}, {Href: "/duty", Name: "Duty"}, {Href: "/templates", Name: "Templates"},
		{Href: "/contacts", Name: "Contacts"}, {Href: "/health", Name: "Health"},
	}
}

// frame returns the frame of a page below an entry of the menu.
func (c *Console) frame(r *http.Request, at, title string) *Frame {
	caller := access.From(r.Context())
	s := c.settings.Load()
	now := c.o.State.Now()
	k := &clock{now: now, zone: c.o.People.Zone(s.numbers[caller.Contact])}
	f := &Frame{clock: k, Base: c.o.Base, Title: title, Path: c.o.Base + r.URL.Path, Caller: caller, Version: c.version(), Nav: menu(), Now: k.when(now)}
	if r.URL.RawQuery != "" {
		f.Path += "?" + r.URL.RawQuery
	}
	for i := range f.Nav {
		f.Nav[i].Current = f.Nav[i].Href == at
	}
	return f
}

// version returns that of smspager, "" if the build has none.
func (c *Console) version() string {
	if c.o.Version == "unknown" {
		return ""
	}
	return c.o.Version
}

// CanAct reports whether the reader may act on pages.
func (f *Frame) CanAct() bool { return f.Caller.Contact != "" && f.Caller.May(config.Responder) == nil }

// Shown returns a text of alerts or people as the reader may see it: for all but admins, with its numbers
// shortened.
func (f *Frame) Shown(text string) string {
	text = strings.Map(withoutDirection, text)
	if f.Caller.Role.Includes(config.Admin) {
		return text
	}
	return inText.ReplaceAllStringFunc(text, short)
}

// withoutDirection leaves out the characters that turn the direction of what follows them: a label must not
// have the words of the console read backwards.
func withoutDirection(r rune) rune {
	if unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

// Alarm reports whether something in the banner is broken.
func (f *Frame) Alarm() bool {
	for _, n := range f.Banner {
		if n.Bad {
			return true
		}
	}
	return false
}

// severity is how a page's severity is shown.
type severity struct {
	Word  string // in capitals
	Class string
}

// severityOf returns how a severity is shown: by its place in the configured order.
func severityOf(order *templating.SeverityOrder, s string) severity {
	word := strings.ToUpper(s)
	switch rank := order.Rank(s); {
	case s == "":
		return severity{"NO SEVERITY", "is-wait"}
	case rank <= 0:
		return severity{word, "is-crit"}
	case rank <= order.Rank("warning"):
		return severity{word, "is-warn"}
	}
	return severity{word, "is-wait"}
}

// functions are those of the templates.
func (c *Console) functions() template.FuncMap {
	return template.FuncMap{
		"asset":   func(name string) string { return c.assets.paths[name] },
		"humps":   humps,
		"counted": counted,
		"list":    list,
		"offer":   offer,
	}
}
