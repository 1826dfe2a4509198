package config

import (
	"fmt"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
)

func (v *validator) contacts(contacts []Contact) people {
	known := people{contacts: make(map[string]e164.Number), owners: make(map[e164.Number]string)}
	for i := range contacts {
		c, path := &contacts[i], fmt.Sprintf("contacts[%d]", i)
		_, twice := known.contacts[c.Name]
		_, err := e164.Parse(c.Name)
		switch {
		case strings.TrimSpace(c.Name) == "":
			v.fault(path+".name", "missing; set the name that recipient lists use")
		case twice:
			v.fault(path+".name", "duplicate contact %q; each needs its own name", c.Name)
		case err == nil, strings.ContainsAny(c.Name, ",;\n"), strings.HasPrefix(c.Name, RotaPrefix):
			v.fault(path+".name", "must not look like a number or a rota, and must not contain a comma, is %q", c.Name)
		}
		number, err := e164.Parse(string(c.Number))
		if err != nil {
			v.fault(path+".number", "%v, is %q", err, c.Number)
		}
		c.Number = number
		known.contacts[c.Name] = number
		if _, shared := known.owners[number]; !shared {
			known.owners[number] = c.Name
		}
		v.quiet(path+".quiet", &c.Quiet)
	}
	v.aliases(contacts)
	return known
}
