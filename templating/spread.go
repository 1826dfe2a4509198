package templating

import (
	"slices"
	"strconv"
	"strings"
)

// addFigures gives each entry the figure in which the alerts' sentences differ.
func (c *composition) addFigures(entries []entry) {
	const most = 100 // lines; more rarely fit, even into ten segments
	list := entries
	for len(list) > 0 && list[len(list)-1].resolved { // firing alerts come first
		list = list[:len(list)-1]
	}
	if len(list) == 0 || len(entries) > most {
		return
	}
	details := make([]*detail, len(list))
	for i := range list {
		details[i] = c.detailAt(list[i].alerts[0])
	}
	if len(list) == len(entries) {
		c.details = details
	}
	for _, s := range details[0].preferred() {
		if texts := sameSentence(details, s); texts != nil {
			for k := range s.figures {
				if slices.ContainsFunc(texts, func(t *statement) bool { return t.figures[k].text != s.figures[k].text }) {
					setFigures(list, func(i int) string { return texts[i].alone(texts[i].figures[k]) })
					c.figuresFrom = s.from
					return
				}
			}
		}
	}
	if details[0].value != "" && slices.ContainsFunc(details, func(d *detail) bool { return d.value != details[0].value }) {
		setFigures(list, func(i int) string {
			if len(details[i].value) < 2 { // a digit means little without its words
				return ""
			}
			return details[i].value
		})
		c.figuresFrom = "VALUE in the description"
	}
}

// sameSentence returns, for each alert, the sentence from the same source as s, with as many
// figures. It returns nil if s has no figures or an alert has no such sentence.
func sameSentence(details []*detail, s *statement) []*statement {
	if len(s.figures) == 0 {
		return nil
	}
	texts := make([]*statement, len(details))
	for i, d := range details {
		j := slices.IndexFunc(d.statements, func(t statement) bool { return t.from == s.from && len(t.figures) == len(s.figures) })
		if j < 0 {
			return nil
		}
		texts[i] = &d.statements[j]
	}
	return texts
}

// setFigures gives each entry its figure, or none of them if one has none.
func setFigures(entries []entry, figure func(i int) string) {
	for i := range entries {
		entries[i].figure = figure(i)
	}
	if slices.ContainsFunc(entries, func(e entry) bool { return e.figure == "" }) {
		for i := range entries {
			entries[i].figure = ""
		}
	}
}

// spread returns the lowest and the highest figure of the lines, "206-258ms"; "" if they have none
// or their units differ.
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
