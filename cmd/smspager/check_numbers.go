package main

import (
	"fmt"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
)

// oddNumbers warns of numbers in a configuration that texts may not reach.
func oddNumbers(cfg *config.Config) (warnings []string) {
	warned := make(map[e164.Number]bool)
	look := func(where string, number e164.Number) {
		if odd := number.Oddity(); odd != "" && !warned[number] {
			warned[number] = true
			warnings = append(warnings, fmt.Sprintf("%s: texts to %s may not arrive: %s", where, number, odd))
		}
	}
	for _, c := range cfg.Contacts {
		look("contact "+c.Name, c.Number)
	}
	list := func(where string, to []config.Recipient) {
		for _, r := range to {
			look(where, r.Number)
		}
	}
	for _, r := range cfg.Rotas {
		list("rota "+r.Name, r.Recipients)
	}
	for _, r := range cfg.Receivers {
		list("receiver "+r.Name, r.Recipients)
		for _, step := range r.Escalate {
			list("receiver "+r.Name, step.Recipients)
		}
	}
	for _, h := range cfg.Heartbeats {
		list("heartbeat "+h.Name, h.Recipients)
	}
	list("credit", cfg.Credit.Recipients)
	return warnings
}
