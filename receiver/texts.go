package receiver

import (
	"cmp"
	"fmt"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/intake"
	"github.com/smspager/smspager/receiver/internal/link"
	"github.com/smspager/smspager/receiver/internal/oncall"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

func templateOptions(cfg *config.Config) templating.Options {
	return templating.Options{Globs: cfg.Templates, Objects: cfg.Templating.Objects, Ignore: cfg.Templating.Ignore, Alphabet: textinghouse.Alphabet, Severities: cfg.Severities.SeverityOrder()}
}

// checkTemplates is the [config.Check] of the templates.
func checkTemplates(cfg *config.Config, report func(path string, err error)) {
	set, err := templating.New(templateOptions(cfg))
	if err != nil {
		report("templates", err)
		return
	}
	for i, r := range cfg.Receivers {
		if _, err := set.Text(r.Text, r.Zone); err != nil {
			report(fmt.Sprintf("receivers[%d].text", i), err)
		}
	}
}

// compile parses the templates of a configuration, and returns them and its receivers.
func compile(cfg *config.Config) (set *templating.Set, receivers []intake.Receiver, err error) {
	if set, err = templating.New(templateOptions(cfg)); err != nil {
		return nil, nil, err
	}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		text, err := set.Text(r.Text, r.Zone)
		if err != nil {
			return nil, nil, fmt.Errorf("receiver %q: %w", r.Name, err)
		}
		receivers = append(receivers, intake.Receiver{Receiver: r, Text: text})
	}
	return set, receivers, nil
}

// Preview is the text that a notification would become.
type Preview struct {
	Receiver    string // the receiver that renders it
	Addressed   string // the receiver that the payload names; "" if it is the same
	Ignored     bool   // the receiver sends no text, because all alerts are resolved
	MaxSegments int
	templating.Rendering
}

// NewPreview renders a notification for a receiver of a configuration. If name is "", it uses the
// receiver that the payload names, or else the only one configured. It stores and sends nothing.
func NewPreview(cfg *config.Config, name string, n templating.Notification) (Preview, error) {
	cfg, err := cfg.Resolve()
	if err != nil {
		return Preview{}, fmt.Errorf("configuration: %w", err)
	}
	return preview(cfg, name, n, draft{})
}

// draft replaces parts of a receiver's configuration in a preview.
type draft struct {
	text        string // the template; "": the receiver's
	maxSegments int    // 0: the receiver's
}

// preview renders a notification for a receiver of a resolved configuration.
func preview(cfg *config.Config, name string, n templating.Notification, d draft) (Preview, error) {
	set, receivers, err := compile(cfg)
	if err != nil {
		return Preview{}, err
	}
	var r *intake.Receiver
	if name == "" {
		if r, err = intake.Find(receivers, n.Receiver); err != nil && len(receivers) == 1 {
			r, err = &receivers[0], nil
		}
	} else {
		r, err = intake.Find(receivers, name)
	}
	if err != nil {
		return Preview{}, err
	}
	if d.text != "" {
		if r.Text, err = set.Text(d.text, r.Zone); err != nil {
			return Preview{}, err
		}
	}
	addressed := n.Receiver
	if other, err := intake.Find(receivers, addressed); err == nil && other == r {
		addressed = ""
	}
	n.Receiver = r.Name
	b := templating.Budget{MaxSegments: cmp.Or(d.maxSegments, r.MaxSegments)}
	if r.Pages() && n.Status != string(model.AlertResolved) {
		var links link.Links
		if r.Link {
			links = linksOf(cfg)
		}
		b.Tail, b.LongTail = oncall.SampleTail(links)
	}
	if n.Repeats() {
		b.Again, b.LongTail = true, ""
	}
	return Preview{Receiver: r.Name, Addressed: addressed, Ignored: !r.Wants(&n), MaxSegments: b.MaxSegments, Rendering: r.Render(n, b)}, nil
}

// linksOf returns the links of a configuration. Their secret is the callback token, which all replicas
// have; without callbacks, it is the password.
func linksOf(cfg *config.Config) link.Links {
	return link.New(cfg.Web.PublicURL, cmp.Or(cfg.TextingHouse.CallbackToken, cfg.TextingHouse.Password).Reveal())
}
