package config

import (
	"fmt"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
)

func (v *validator) contacts(contacts []Contact) map[string]e164.Number {
	numbers := make(map[string]e164.Number)
	for i := range contacts {
		c, path := &contacts[i], fmt.Sprintf("contacts[%d]", i)
		_, twice := numbers[c.Name]
		_, err := e164.Parse(c.Name)
		switch {
		case strings.TrimSpace(c.Name) == "":
			v.fault(path+".name", "missing; set the name that recipient lists use")
		case twice:
			v.fault(path+".name", "duplicate contact %q; each needs its own name", c.Name)
		case err == nil, strings.ContainsAny(c.Name, ",;\n"), strings.HasPrefix(c.Name, rotaPrefix):
			v.fault(path+".name", "must not look like a number or a rota, and must not contain a comma, is %q", c.Name)
		}
		number, err := e164.Parse(string(c.Number))
		if err != nil {
			v.fault(path+".number", "%v, is %q", err, c.Number)
		}
		c.Number = number
		numbers[c.Name] = number
		v.quiet(path+".quiet", &c.Quiet)
	}
	v.aliases(contacts)
	return numbers
}
