package console

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/templating"
)

// Frame is the part that all pages have.
type Frame struct {
	*clock
	Base    string
	Title   string
	Path    string // of this page with its query; updates load it
	Nav     []navItem
	Caller  access.Caller
	Version string
	Still   bool     // the page is not updated while it is shown
	Typed   bool     // the page has fields, whose contents a reload without JavaScript would lose
	Banner  []notice // what is wrong
	Now     when
}

// navItem is an entry of the menu.
type navItem struct {
	Href, Name string
	Current    bool
}

// notice is a row of the banner: what is wrong, and where to fix it.
type notice struct {
	Bad        bool // something is broken; false: something needs attention
	What, Text string
	Others     []string // others with the same problem
	Href       string   // "": nowhere
}

// menu returns the pages in the menu.
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

// version returns smspager's version, or "" if the build has none.
func (c *Console) version() string {
	if c.o.Version == "unknown" {
		return ""
	}
	return c.o.Version
}

// CanAct reports whether the reader may act on pages.
func (f *Frame) CanAct() bool { return f.Caller.Contact != "" && f.Caller.May(config.Responder) == nil }

// Shown returns a text from alerts or people as the reader may see it. Unless the reader is an admin, it
// shortens phone numbers.
func (f *Frame) Shown(text string) string {
	text = strings.Map(withoutDirection, text)
	if f.Caller.Role.Includes(config.Admin) {
		return text
	}
	return e164.InText.ReplaceAllStringFunc(text, short)
}

// withoutDirection removes the characters that change the direction of text. Otherwise a label could make
// the console's own words run backwards.
func withoutDirection(r rune) rune {
	if unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

// Alarm reports whether something in the banner is broken.
func (f *Frame) Alarm() bool {
	return slices.ContainsFunc(f.Banner, func(n notice) bool { return n.Bad })
}

// severity is a severity as it is displayed.
type severity struct {
	Word  string // in capitals
	Class string
}

// severityOf returns how a severity is displayed, which depends on its place in the configured order.
func (f *Frame) severityOf(order *templating.SeverityOrder, s string) severity {
	word := f.Shown(strings.ToUpper(s))
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

// functions returns the functions of the templates.
func (c *Console) functions() template.FuncMap {
	return template.FuncMap{
		"asset":   func(name string) string { return c.assets.paths[name] },
		"humps":   humps,
		"counted": counted,
		"list":    list,
		"offer":   offer,
	}
}
