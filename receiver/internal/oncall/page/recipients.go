package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
)

// Paged is a person who was paged.
type Paged struct {
	Name   string      `json:"name,omitempty"`
	Number e164.Number `json:"number"`
	Step   int         `json:"step"` // of the escalation, from 1; 0: paged by a notification or by a reopening
}

func (p Paged) String() string { return outbox.Person{Name: p.Name, Number: p.Number}.String() }

// Recipients holds the people who were paged, in order.
type Recipients []Paged

// Numbers returns all numbers, each once.
func (rs Recipients) Numbers() []e164.Number {
	var all []e164.Number
	for _, person := range rs {
		if !slices.Contains(all, person.Number) {
			all = append(all, person.Number)
		}
	}
	return all
}

// Person returns the person who was paged at a number, without a name if nobody was.
func (rs Recipients) Person(number e164.Number) outbox.Person {
	for _, person := range rs {
		if person.Number == number {
			return outbox.Person{Name: person.Name, Number: number}
		}
	}
	return outbox.Person{Number: number}
}

// of returns the people that a step paged.
func (rs Recipients) of(step int) (people Recipients) {
	for _, person := range rs {
		if person.Step == step {
			people = append(people, person)
		}
	}
	return people
}

// after returns a reason followed by the names: "No answer from alice, bob, +2". It returns "" if there
// are no recipients.
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
