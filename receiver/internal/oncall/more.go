package oncall

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/internal/oncall/page"
	"github.com/smspager/smspager/receiver/internal/people"
	"github.com/smspager/smspager/templating"
)

// more confirms with what the text of a page has left out: the text in all the room that a notice has,
// then the labels and annotations of its alerts that the text does not contain.
func (rs *replies) more(p *page.Page, r *received) decision {
	s := rs.settings.Load()
	text := p.Code + " " + p.Headline
	if render := s.render[p.Receiver]; render != nil {
		text = p.Code + " " + render(p.Notification, templating.Budget{MaxSegments: people.NoticeSegments}).Text
	}
	if link := rs.texts.link(p); link != "" {
		text += "\n" + link
	}
	for _, detail := range details(p.Notification.Alerts, text) {
		if longer := text + "\n" + detail; people.Fits(longer) {
			text = longer
		}
	}
	return decision{outcome: outcomeDone, about: p, text: text}
}

// details returns the labels and annotations of alerts that a text does not contain, each once.
func details(alerts template.Alerts, text string) []string {
	var all []string
	for _, a := range alerts {
		for _, kv := range []template.KV{a.Annotations, a.Labels} {
			for _, name := range slices.Sorted(maps.Keys(kv)) {
				value := strings.Join(strings.Fields(kv[name]), " ")
				detail := name + ": " + value
				if value != "" && name != model.AlertNameLabel && name != "severity" && !strings.Contains(text, value) && !slices.Contains(all, detail) {
					all = append(all, detail)
				}
			}
		}
	}
	return all
}
