package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// Paged is somebody who was sent the page.
type Paged struct {
	Name   string      `json:"name,omitempty"`
	Number e164.Number `json:"number"`
	Step   int         `json:"step"` // 0: when the page opened; then the step of the escalation
}

func (p Paged) String() string { return outbox.Person{Name: p.Name, Number: p.Number}.String() }

// Recipients are those who were sent the page, in that order.
type Recipients []Paged

// Numbers returns the numbers of all, each once.
func (rs Recipients) Numbers() []e164.Number {
	var all []e164.Number
	for _, person := range rs {
		if !slices.Contains(all, person.Number) {
			all = append(all, person.Number)
		}
	}
	return all
}

// Person returns who a number was paged as, or the number alone.
func (rs Recipients) Person(number e164.Number) outbox.Person {
	for _, person := range rs {
		if person.Number == number {
			return outbox.Person{Name: person.Name, Number: number}
		}
	}
	return outbox.Person{Number: number}
}

// of returns those who were paged by a step.
func (rs Recipients) of(step int) (people Recipients) {
	for _, person := range rs {
		if person.Step == step {
			people = append(people, person)
		}
	}
	return people
}

// after returns a reason with the names of all behind it, of more than two the first two and how many
// more; it is "" if there are none.
func (rs Recipients) after(reason string) string {
	if len(rs) == 0 {
		return ""
	}
	var names []string
	for _, person := range rs {
		names = append(names, person.String())
	}
	const most = 2
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("+%d", len(names)-most))
	}
	return reason + " " + strings.Join(names, ", ")
}
