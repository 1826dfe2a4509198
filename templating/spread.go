package templating

import (
	"slices"
	"strconv"
	"strings"
)

// addFigures gives each entry the one figure in which the alerts' sentences differ.
func (c *composition) addFigures(entries []entry) {
	const most = 100 // lines; more seldom fit, even into ten segments
	if len(entries) > most {
		return
	}
	list := entries
	found := make([][]figure, len(list))
	texts := make([]*saying, len(list))
	details := make([]*detail, len(list))
	for i := range list {
		details[i] = c.detailAt(list[i].alerts[0])
	}
	c.details = details
	if slices.ContainsFunc(list, func(e entry) bool { return e.resolved }) {
		return
	}
	// The same sentence of each alert, by where it was found.
	for _, s := range details[0].preferred() {
		if len(s.figures) == 0 {
			continue
		}
		same := true
		for i := range details {
			texts[i] = nil
			for j := range details[i].sayings {
				if t := &details[i].sayings[j]; t.from == s.from && len(t.figures) == len(s.figures) {
					texts[i] = t
				}
			}
			if texts[i] == nil {
				same = false
				break
			}
			found[i] = texts[i].figures
		}
		if !same {
			continue
		}
		for k := range s.figures {
			differs := false
			for i := range found {
				differs = differs || found[i][k].text != s.figures[k].text
			}
			if differs {
				for i := range list {
					list[i].figure = texts[i].alone(found[i][k])
				}
				if slices.ContainsFunc(list, func(e entry) bool { return e.figure == "" }) { // all or none
					for i := range list {
						list[i].figure = ""
					}
				}
				c.figuresFrom = s.from
				return
			}
		}
	}
	if details[0].value != "" && slices.ContainsFunc(details, func(d *detail) bool { return d.value != details[0].value }) {
		for i := range list {
			if v := details[i].value; len(v) > 1 { // a digit says little without its words
				list[i].figure = v
				c.figuresFrom = "VALUE in the description"
			}
		}
	}
}

// spread returns the least and the greatest figure of the lines, "206-258ms"; "" if they
// have none or their units differ.
func (c *composition) spread() string {
	if c.name == "" || len(c.details) == 0 {
		return ""
	}
	least, most, unit := "", "", ""
	low, high := 0.0, 0.0
	for i := range c.entries {
		text := c.entries[i].figure
		number := strings.TrimRight(text, "%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || most != "" && text[len(number):] != unit {
			return ""
		}
		unit = text[len(number):]
		if least == "" || n < low {
			least, low = number, n
		}
		if most == "" || n > high {
			most, high = number, n
		}
	}
	if unit == "" {
		return ""
	}
	return least + "-" + most + unit
}
