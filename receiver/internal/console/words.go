package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/templating"
)

// nbsp (no-break space) joins a number and its unit.
const nbsp = "\u00a0"

// clock formats times for one reader.
type clock struct {
	now  time.Time
	zone *time.Location
}

// when is a time to be formatted for one reader.
type when struct {
	at time.Time
	*clock
}

func (c *clock) when(at time.Time) when { return when{at, c} }

// Unix returns the time in seconds since 1970.
func (w when) Unix() int64 { return w.at.Unix() }

// Zero reports whether the time is the zero time.
func (w when) Zero() bool { return w.at.IsZero() }

// Ago returns how long ago the time was, such as "8 min ago". live.js keeps Ago, For, In and Left up to
// date.
func (w when) Ago() template.HTML { return w.html("ago", w.ago()) }

// For returns how long ago the time was, such as "8 min".
func (w when) For() template.HTML { return w.html("for", span(w.now.Sub(w.at), false)) }

// In returns how long it is until the time, such as "in 6 min 50 s".
func (w when) In() template.HTML {
	if !w.at.After(w.now) {
		return w.html("in", "now")
	}
	return w.html("in", "in "+span(w.at.Sub(w.now), true))
}

// Left returns how long it is until the time, such as "43 min left".
func (w when) Left() template.HTML { return w.html("left", span(w.at.Sub(w.now), false)+" left") }

// RFC returns the time in RFC 3339, for programs.
func (w when) RFC() string { return w.at.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// ago returns Ago as text.
func (w when) ago() string { return span(w.now.Sub(w.at), false) + " ago" }

func (w when) html(as, words string) template.HTML {
	return template.HTML(`<time datetime="` + w.at.In(w.zone).Format(time.RFC3339) + `" data-as="` + as + `">` + strings.ReplaceAll(words, " ", "&nbsp;") + `</time>`)
}

// Clock returns the time of day, with the day if that is not today: "03:08", "Fri 22:10", "3 Nov 22:10".
func (w when) Clock() string { return w.format("15:04") }

// Exact returns the same as Clock, with seconds.
func (w when) Exact() string { return w.format("15:04:05") }

// Stamp returns the time of day with seconds, as an HTML element.
func (w when) Stamp() template.HTML {
	local := w.at.In(w.zone)
	return template.HTML(`<time class="at" datetime="` + local.Format(time.RFC3339) + `">` + local.Format("15:04:05") + `</time>`)
}

func (w when) format(layout string) string {
	local, today := w.at.In(w.zone), w.now.In(w.zone)
	away := w.at.Sub(w.now).Abs()
	switch {
	case local.YearDay() == today.YearDay() && local.Year() == today.Year():
	case away < 6*24*time.Hour:
		layout = "Mon " + layout
	case away < 300*24*time.Hour:
		layout = "2 Jan " + layout
	default:
		layout = "2 Jan 2006 " + layout
	}
	return strings.ReplaceAll(local.Format(layout), " ", nbsp)
}

// Today returns the date, such as "Sat 28 Nov 2026".
func (w when) Today() string {
	return strings.ReplaceAll(w.at.In(w.zone).Format("Mon 2 Jan"), " ", nbsp) + w.at.In(w.zone).Format(" 2006")
}

// Zone names the time zone, such as "Europe/Paris (UTC+1)".
func (c *clock) Zone() string {
	name, seconds := c.zone.String(), 0
	_, seconds = c.now.In(c.zone).Zone()
	offset := "UTC"
	if seconds != 0 {
		offset = fmt.Sprintf("UTC%+d", seconds/3600)
		if minutes := seconds % 3600 / 60; minutes != 0 {
			offset += fmt.Sprintf(":%02d", max(minutes, -minutes))
		}
	}
	if name == "UTC" || name == "Local" || name == offset {
		return offset
	}
	return name + " (" + offset + ")"
}

// span returns a length of time in words: "21 s", "8 min", "5 h", "12 days"; if fine, with two units:
// "6 min 50 s". live.js uses the same words.
func span(d time.Duration, fine bool) string {
	d = max(d, 0).Truncate(time.Second)
	two := func(n int, unit string, rest int, restUnit string) string {
		if fine && rest > 0 {
			return fmt.Sprintf("%d %s %d %s", n, unit, rest, restUnit)
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	seconds := int(d.Seconds())
	switch {
	case seconds < 60:
		return fmt.Sprintf("%d s", seconds)
	case seconds < 3600:
		return two(seconds/60, "min", seconds%60, "s")
	case seconds < 2*86400:
		return two(seconds/3600, "h", seconds%3600/60, "min")
	}
	return two(seconds/86400, "days", seconds%86400/3600, "h")
}

// after returns how long something took, such as "after 4 s" or "after 2 min 41 s".
func after(d time.Duration) string {
	words := span(d, true)
	switch {
	case d < time.Second:
		words = fmt.Sprintf("%.1f s", max(d, 100*time.Millisecond).Seconds())
	case d >= 10*time.Minute:
		words = span(d.Round(time.Minute), true)
	}
	return "after " + strings.ReplaceAll(words, " ", nbsp)
}

// counted returns a number with its noun, joined by a no-break space: "1 alert", "3 alerts".
func counted(n int, noun string) string {
	return strings.Replace(templating.Counted(n, noun), " ", nbsp, 1)
}

// number returns a phone number as a caller may see it.
func number(caller access.Caller, n e164.Number) string {
	if full := caller.Number(n); full == string(n) {
		return full
	}
	return short(string(n))
}

// short shortens a phone number.
func short(n string) string { return n[:5] + "•••" + n[len(n)-2:] }

// humps returns an alert's name with positions where a line may break.
func humps(name string) template.HTML {
	var b strings.Builder
	var before rune
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) || before == '_' || before == '/' {
			b.WriteString("<wbr>")
		}
		b.WriteString(template.HTMLEscapeString(string(r)))
		before = r
	}
	return template.HTML(b.String())
}

// link returns an address if it is a web address, otherwise "". It is not trusted, because anybody
// who writes alerts can write labels and annotations.
func link(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// offer describes the length of a silence in words: "for 4 h", "until 09:00".
func offer(length string) string {
	if n, ok := strings.CutSuffix(length, "h"); ok {
		return "for " + n + nbsp + "h"
	}
	return length
}

// begin returns the beginning of a text, cut to n characters.
func begin(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n]) + "…"
}

// list joins names: "alice", "alice and bob", "alice, bob and carol".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// capital returns a text with its first letter in upper case.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// sentence returns a text with a full stop at its end.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	if strings.ContainsAny(s[len(s)-1:], ".!?…") {
		return s
	}
	return s + "."
}
