package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/smspager/smspager/templating"
)

// titleJSON is a title of shifts with other words than the names of contacts.
type titleJSON struct {
	Rota     string    `json:"rota"`
	Title    string    `json:"title"`
	Contacts []string  `json:"contacts"` // contacts on duty by this title; null: nobody
	First    time.Time `json:"first"`    // start of the first such shift
	Shifts   int       `json:"shifts"`
}

// maxTitles is the maximum number of a rota's titles that are shown.
const maxTitles = 20

// drawTitles shows what smspager reads in a rota's titles with other words than names.
func (r *checked) drawTitles(c console, rota string) {
	shown := 0
	for _, t := range r.Titles {
		if t.Rota != rota {
			continue
		}
		if shown++; shown == 1 {
			fmt.Fprintln(c.out, "  titles with words other than names, and who they put on duty:")
		}
		if shown > maxTitles {
			continue
		}
		who := "nobody"
		if len(t.Contacts) > 0 {
			who = strings.Join(t.Contacts, ", ")
		}
		fmt.Fprintf(c.out, "    %.60q  %s (%s, first %s)\n", t.Title, who, templating.Counted(t.Shifts, "shift"), t.First.Format(shiftLayout))
	}
	if shown > maxTitles {
		fmt.Fprintf(c.out, "    and %d more; --output=json shows all\n", shown-maxTitles)
	}
}
