// Package config is smspager's configuration, as a YAML file or written in Go.
//
// Reading is strict. It reports every fault in one run, each with its place:
//
//	smspager.yml:12:7: receivers[0].max_segments: must be 1 to 10, is 0
//
// [Load] and [Parse] read a file. [Config.Resolve] checks a [Config] that was written in Go.
// docs/configuration.md describes every key.
//
// Stability: until v1, an exported name may change in a minor release; CHANGELOG.md lists
// each change.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
)

// Config is a configuration. [Load] and [Parse] read one from a file; a program may also write one
// in Go. In a resolved one (see [Config.Resolve]), file names are absolute, secrets are read (and
// the names of their files are ""), defaults are set, and the fields without a key hold what the
// names in other fields refer to.
type Config struct {
	TextingHouse TextingHouse `yaml:"textinghouse"`
	Storage      Storage      `yaml:"storage"`
	Webhook      Webhook      `yaml:"webhook"`
	API          API          `yaml:"api"`
	Console      Console      `yaml:"console"`
	Web          Web          `yaml:"web"`
	Probe        Probe        `yaml:"probe"`
	Severities   Severities   `yaml:"severities"`
	Templates    []string     `yaml:"templates"` // patterns of template files
	Templating   Templating   `yaml:"templating"`
	Contacts     []Contact    `yaml:"contacts"`
	Rotas        []Rota       `yaml:"rotas"`
	Receivers    []Receiver   `yaml:"receivers"`
	Alertmanager Alertmanager `yaml:"alertmanager"`
	Heartbeats   []Heartbeat  `yaml:"heartbeats"`
	Alive        Alive        `yaml:"alive"`
	Credit       Credit       `yaml:"credit"`
}

// Severities sets which label gives an alert's severity, and which severities are worse.
type Severities struct {
	Label string   `yaml:"label"` // read first; an alert without it has the severity of severity, priority or level
	Order []string `yaml:"order"` // the most severe first; empty: the built-in order
}

// SeverityOrder returns the order for templating.
func (s *Severities) SeverityOrder() *templating.SeverityOrder {
	return templating.NewSeverityOrder(s.Label, s.Order)
}

// Templating sets which labels say what is broken, see templating.Options.
type Templating struct {
	Objects []string `yaml:"objects"` // most exact first
	Ignore  []string `yaml:"ignore"`  // labels that never say what is broken
}

// TextingHouse is the provider's account that sends.
type TextingHouse struct {
	User              string         `yaml:"user"`
	Password          Secret         `yaml:"password"`
	PasswordFile      string         `yaml:"password_file"`
	Endpoints         []string       `yaml:"endpoints"`
	SenderID          string         `yaml:"sender_id"`
	Timeout           time.Duration  `yaml:"timeout"`
	Concurrency       int            `yaml:"concurrency"`
	MaxPerSecond      int            `yaml:"max_per_second"` // 0: no limit
	CallbackToken     Secret         `yaml:"callback_token"` // "": no callbacks
	CallbackTokenFile string         `yaml:"callback_token_file"`
	CallbackNetworks  []netip.Prefix `yaml:"callback_networks"` // empty: any
}

// ClientOptions returns the options of a client for the account.
func (t *TextingHouse) ClientOptions() textinghouse.Options {
	return textinghouse.Options{
		User: t.User, Password: t.Password.Reveal(), Endpoints: t.Endpoints, Timeout: t.Timeout, MaxConns: t.Concurrency,
	}
}

// Storage is the outbox, which keeps the messages.
type Storage struct {
	SQLite          string        `yaml:"sqlite"`       // a file; "" with PostgreSQL
	PostgresURL     Secret        `yaml:"postgres_url"` // "": SQLite
	PostgresURLFile string        `yaml:"postgres_url_file"`
	Retention       time.Duration `yaml:"retention"`
}

// Webhook is Alertmanager's webhook.
type Webhook struct {
	Token        Secret `yaml:"token"` // "": no token is required
	TokenFile    string `yaml:"token_file"`
	MaxBodyBytes int64  `yaml:"max_body_bytes"`
}

// Probe sets how often a probe measures the whole chain.
type Probe struct {
	Interval time.Duration `yaml:"interval"` // 0: none
}

// Contact is a person with a number.
type Contact struct {
	Name    string      `yaml:"name"`
	Number  e164.Number `yaml:"number"`
	Aliases []string    `yaml:"aliases"` // what calendars call the person
	Quiet   Quiet       `yaml:"quiet"`
}

// Receiver is one of Alertmanager's receivers, and what smspager does for it.
type Receiver struct {
	Name         string         `yaml:"name"`
	To           []string       `yaml:"to"`       // contacts, numbers or rotas, as written
	Recipients   []Recipient    `yaml:"-"`        // the recipients in To, each once
	ToLabel      string         `yaml:"to_label"` // "": none
	Text         string         `yaml:"text"`
	MaxSegments  int            `yaml:"max_segments"`
	Limits       []Limit        `yaml:"limits"`   // for each recipient; empty: no limits
	Urgent       []string       `yaml:"urgent"`   // severities that limits do not hold; nil: the highest level
	Timezone     string         `yaml:"timezone"` // of times of day in texts; "": UTC, which texts then show
	Zone         *time.Location `yaml:"-"`        // of Timezone; nil if that is ""
	SendResolved bool           `yaml:"send_resolved"`
	DedupeWindow time.Duration  `yaml:"dedupe_window"`
	MaxAge       time.Duration  `yaml:"max_age"`
	Acknowledge  bool           `yaml:"acknowledge"` // somebody must respond
	Escalate     []Step         `yaml:"escalate"`    // who is paged until somebody does
	Repeat       time.Duration  `yaml:"repeat"`      // how often an open page is sent again; 0: never
	Link         bool           `yaml:"link"`        // texts end with a link to the page
	NoReceipt    time.Duration  `yaml:"no_receipt"`  // how long a receipt may be missing before the next step; 0: for ever
}

// Limit is a token bucket: it holds Messages tokens, and an empty one is full again after Per.
type Limit struct {
	Messages int           `yaml:"messages"`
	Per      time.Duration `yaml:"per"`
}

const day = 24 * time.Hour

func defaults() Config {
	return Config{
		TextingHouse: TextingHouse{
			Endpoints: textinghouse.DefaultEndpoints(), Timeout: 10 * time.Second, Concurrency: 16,
		},
		Storage:      Storage{SQLite: "smspager.db", Retention: 90 * day},
		Webhook:      Webhook{MaxBodyBytes: 4 << 20},
		Severities:   Severities{Label: "severity"},
		Alertmanager: Alertmanager{MaxSilence: day},
		Alive:        Alive{Interval: time.Minute},
	}
}

// setDefaults sets the defaults of an item of a list before its keys are read.
func (r *Receiver) setDefaults() {
	*r = Receiver{
		Text: `{{ template "sms.default" . }}`, MaxSegments: 2, SendResolved: true,
		DedupeWindow: 20 * time.Minute, MaxAge: time.Hour,
		// goalert's limits: one a minute after a burst of 5, 5 in 15 minutes, 11 in an hour.
		Limits: []Limit{{5, 5 * time.Minute}, {5, 15 * time.Minute}, {11, time.Hour}},
	}
}

func (r *Rota) setDefaults() { r.Refresh, r.Timeout, r.Turns.Days = 15*time.Minute, time.Minute, 7 }

// Check is a check of another package. It reports a fault with the path of its key, such as
// "receivers[0].text".
type Check func(cfg *Config, report func(path string, err error))

// Load reads a file. The error is an [Errors], unless the file cannot be read.
func Load(path string, checks ...Check) (*Config, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; name the configuration (--config.file), or write one with smspager init", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; run this as a user who may read the configuration, such as the one that runs smspager", err)
	case errors.Is(err, syscall.EISDIR):
		return nil, fmt.Errorf("%w; name a file in that folder, such as %s", err, filepath.Join(path, "smspager.yml"))
	case err != nil:
		return nil, err
	}
	return Parse(path, data, checks...)
}

// Parse reads a configuration from memory. name is the name of the file in errors; relative file
// names start at its folder. The error is an [Errors].
func Parse(name string, data []byte, checks ...Check) (*Config, error) {
	d := newDecoder(name)
	cfg := defaults()
	if d.decodeDocument(data, &cfg) {
		dir, err := filepath.Abs(filepath.Dir(name))
		if err != nil {
			return nil, err
		}
		v := &validator{decoder: d, dir: dir}
		v.check(&cfg, checks)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return &cfg, nil
}
