package rota

import (
	"errors"
	"fmt"
	"strings"
)

// component is a component of an iCalendar file, such as a VEVENT or VTIMEZONE. Names of
// components, properties and parameters are in capitals, because their case does not matter (RFC
// 5545, 2 and 3.1).
type component struct {
	name  string
	line  int // where it begins
	props []property
	subs  []*component
}

// property is a content line (RFC 5545, 3.1).
type property struct {
	name   string
	params map[string][]string
	value  string
}

// get returns the first property with a name, or nil.
func (c *component) get(name string) *property {
	for i := range c.props {
		if c.props[i].name == name {
			return &c.props[i]
		}
	}
	return nil
}

// all returns the properties with a name.
func (c *component) all(name string) []*property {
	var found []*property
	for i := range c.props {
		if c.props[i].name == name {
			found = append(found, &c.props[i])
		}
	}
	return found
}

// text returns the value of a property as text (RFC 5545, 3.3.11), or "" if there is none.
func (c *component) text(name string) string {
	p := c.get(name)
	if p == nil {
		return ""
	}
	return strings.TrimSpace(strings.NewReplacer(`\\`, `\`, `\,`, ",", `\;`, ";", `\n`, "\n", `\N`, "\n").Replace(p.value))
}

// enum returns the value of a property whose values are fixed words, in capitals.
func (c *component) enum(name string) string { return strings.ToUpper(c.text(name)) }

// param returns the first value of a parameter, in capitals.
func (p *property) param(name string) string {
	if values := p.params[name]; len(values) > 0 {
		return strings.ToUpper(values[0])
	}
	return ""
}

// read reads the components of all VCALENDARs in a file, with their properties (RFC 5545, 3.4: a stream
// may hold several). It ignores a line that cannot be read; if an event needs that line, parsing the
// event fails.
func read(data string) (top *component, err error) {
	top = &component{}
	open := []*component{top}
	calendars := 0
	for i, line := range unfold(data) {
		p, ok := parseLine(line.text)
		if !ok {
			if calendars == 0 && strings.TrimSpace(line.text) != "" {
				return nil, fmt.Errorf("not an iCalendar file: line %d is not of one", i+1)
			}
			continue
		}
		inner := open[len(open)-1]
		switch kind := strings.ToUpper(strings.TrimSpace(p.value)); {
		case p.name == "BEGIN":
			if kind == "VCALENDAR" {
				calendars++
			}
			c := &component{name: kind, line: line.number}
			inner.subs = append(inner.subs, c)
			open = append(open, c)
		case p.name == "END":
			for n := len(open) - 1; n > 0; n-- { // the END of an outer component also ends inner ones
				if open[n].name == kind {
					open = open[:n]
					break
				}
			}
		default:
			inner.props = append(inner.props, p)
		}
	}
	switch {
	case calendars == 0:
		return nil, errors.New("not an iCalendar file: it holds no VCALENDAR")
	case len(open) > 1:
		return nil, fmt.Errorf("not an iCalendar file: it ends within a %s", open[len(open)-1].name)
	}
	return top, nil
}

// line is a content line, and the number of its first line in the file.
type line struct {
	text   string
	number int
}

// unfold joins the lines that were folded (RFC 5545, 3.1).
func unfold(data string) []line {
	var lines []line
	number := 0
	for raw := range strings.Lines(strings.TrimPrefix(data, "\ufeff")) {
		number++
		raw = strings.TrimRight(raw, "\r\n")
		if n := len(lines); n > 0 && (strings.HasPrefix(raw, " ") || strings.HasPrefix(raw, "\t")) {
			lines[n-1].text += raw[1:]
			continue
		}
		if raw != "" {
			lines = append(lines, line{raw, number})
		}
	}
	return lines
}

// dated lists the properties whose values contain no colon. The last colon ends their parameters,
// even if the name of a time zone contains an unquoted colon.
const dated = " DTSTART DTEND RECURRENCE-ID EXDATE RDATE "

// parseLine reads a content line. It returns false if the text is not one.
func parseLine(text string) (property, bool) {
	quoted, end := false, -1
	var cuts []int // semicolons
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			cuts = append(cuts, i)
		case c == ':':
			end = i
		}
		if end >= 0 {
			break
		}
	}
	if end < 0 {
		end = strings.LastIndexByte(text, ':')
	}
	if end < 0 {
		return property{}, false
	}
	first := end
	if len(cuts) > 0 {
		first = min(first, cuts[0])
	}
	p := property{name: strings.ToUpper(strings.TrimSpace(text[:first]))}
	if p.name == "" || strings.ContainsAny(p.name, " <>\"") {
		return property{}, false
	}
	if strings.Contains(dated, " "+p.name+" ") {
		end = strings.LastIndexByte(text, ':')
	}
	p.value = text[end+1:]
	if len(cuts) > 0 {
		p.params = make(map[string][]string)
	}
	for i, cut := range cuts {
		last := end
		if i+1 < len(cuts) {
			last = cuts[i+1]
		}
		name, value, _ := strings.Cut(text[cut+1:last], "=")
		name = strings.ToUpper(strings.TrimSpace(name))
		p.params[name] = append(p.params[name], decoded.Replace(strings.Trim(strings.TrimSpace(value), `"`)))
	}
	return p, true
}

// decoded decodes the values of parameters (RFC 6868).
var decoded = strings.NewReplacer("^n", "\n", "^^", "^", "^'", `"`)
