// Package alertmanager is a client of Alertmanager's API v2: it lists alerts, and reads, sets and ends
// silences.
package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/httpclient"
)

// maxResponseBytes bounds the part of a response that is read.
const maxResponseBytes = 16 << 20

// Options holds the arguments of New.
type Options struct {
	URLs   []string // the Alertmanagers of one cluster, in the order in which they are tried
	Client *http.Client
	Now    func() time.Time // the clock of Listing.Starts; nil: time.Now
}

// Silencer talks to a cluster of Alertmanagers. It is safe for concurrent use.
type Silencer struct {
	o       Options
	mu      sync.Mutex
	resting map[string]time.Time // when Alertmanagers that did not respond may be asked about alerts again
}

// New returns a Silencer.
func New(o Options) *Silencer {
	urls := make([]string, len(o.URLs))
	for i, address := range o.URLs {
		urls[i] = strings.TrimRight(address, "/") // one name for each Alertmanager, and a base of paths
	}
	o.URLs = urls
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Silencer{o: o, resting: make(map[string]time.Time)}
}

// Of returns a Silencer for a configuration, nil if it names no Alertmanager. If transport is nil, requests
// use the network. now is the clock of Listing.Starts; nil: time.Now.
func Of(cfg config.Alertmanager, transport http.RoundTripper, timeout time.Duration, now func() time.Time) *Silencer {
	if len(cfg.URLs) == 0 {
		return nil
	}
	return New(Options{URLs: cfg.URLs, Client: httpclient.New(cfg.HTTPConfig, transport, timeout), Now: now})
}

// At returns the URLs of the Alertmanagers with a host, which may have a port.
func (s *Silencer) At(host string) (urls []string) {
	for _, address := range s.o.URLs {
		if u, err := url.Parse(address); err == nil && u.Host == host {
			urls = append(urls, address)
		}
	}
	return urls
}

// Silence is a silence in Alertmanager.
type Silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []Matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *Status   `json:"status,omitempty"` // set by Alertmanager
}

// Matcher matches a label by its value, or by a regular expression if IsRegex is true.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// Status is the status of a silence.
type Status struct {
	State string `json:"state"` // "active", "pending" or "expired"
}

// RefusedError is a response of Alertmanager that a retry does not change.
type RefusedError struct {
	Code   int // the HTTP status
	Reason string
}

func (e *RefusedError) Error() string { return "Alertmanager refuses it: " + e.Reason }

// Exact returns a matcher for each label of an alert.
func Exact(labels map[string]string) []Matcher {
	var ms []Matcher
	for name, value := range labels {
		ms = append(ms, Matcher{Name: name, Value: value, IsEqual: true})
	}
	return ms
}

// Set sets a silence and returns its id. An Alertmanager that does not respond may still have set it, so
// Set first asks the next one for a silence with this comment.
func (s *Silencer) Set(ctx context.Context, silence Silence) (id string, err error) {
	body, err := json.Marshal(silence)
	if err != nil {
		return "", err
	}
	failed := false
	err = s.each(func(base string) error {
		if failed {
			existing, err := s.find(ctx, base, silence.Comment)
			if err != nil {
				return err
			}
			if len(existing) > 0 {
				id = existing[0].ID
				return nil
			}
		}
		var created struct {
			SilenceID string `json:"silenceID"`
		}
		if err := s.request(ctx, http.MethodPost, base+"/api/v2/silences", body, &created); err != nil {
			var refusal *net.OpError
			failed = failed || !errors.As(err, &refusal) || refusal.Op != "dial"
			return err
		}
		if id = created.SilenceID; id == "" {
			return errors.New("the response has no silenceID")
		}
		return nil
	})
	return id, err
}

// Find returns the unexpired silences whose comments begin with comment.
func (s *Silencer) Find(ctx context.Context, comment string) (found []Silence, err error) {
	err = s.each(func(base string) error {
		found, err = s.find(ctx, base, comment)
		return err
	})
	return found, err
}

func (s *Silencer) find(ctx context.Context, base, comment string) ([]Silence, error) {
	var all []Silence
	if err := s.request(ctx, http.MethodGet, base+"/api/v2/silences", nil, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(silence Silence) bool {
		return !strings.HasPrefix(silence.Comment, comment) || silence.Status != nil && silence.Status.State == "expired"
	}), nil
}

// Expire ends a silence. It does not fail if the silence is over or does not exist.
func (s *Silencer) Expire(ctx context.Context, id string) error {
	err := s.each(func(base string) error {
		return s.request(ctx, http.MethodDelete, base+"/api/v2/silence/"+url.PathEscape(id), nil, nil)
	})
	var gone *RefusedError
	if errors.As(err, &gone) && gone.Code == http.StatusNotFound {
		return nil
	}
	var failed *failedError
	if errors.As(err, &failed) && failed.code == http.StatusInternalServerError && strings.Contains(failed.reason, "already expired") {
		return nil // before 0.28
	}
	return err
}

// failedError is a response that a retry may change.
type failedError struct {
	code   int
	reason string
}

func (e *failedError) Error() string {
	return fmt.Sprintf("Alertmanager responds %d: %s", e.code, e.reason)
}

// each asks the Alertmanagers in order until one responds.
func (s *Silencer) each(ask func(base string) error) error {
	var errs []error
	for _, base := range s.o.URLs {
		err := ask(base)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Silencer) request(ctx context.Context, method, address string, body []byte, result any) error {
	_, err := s.dated(ctx, method, address, body, result)
	return err
}

// dated makes a request, as request does. It also returns the date of the response by Alertmanager's clock, zero
// if the response has none.
func (s *Silencer) dated(ctx context.Context, method, address string, body []byte, result any) (date time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return date, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.o.Client.Do(req)
	if err != nil {
		return date, err
	}
	defer resp.Body.Close()
	date, _ = http.ParseTime(resp.Header.Get("Date"))
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes))
	if err != nil {
		return date, fmt.Errorf("read Alertmanager's response: %w", err)
	}
	switch code := resp.StatusCode; {
	case code/100 == 2 && result == nil:
		return date, nil
	case code/100 == 2:
		if err := json.Unmarshal(text, result); err != nil {
			return date, fmt.Errorf("read Alertmanager's response: %w", err)
		}
		return date, nil
	case code == http.StatusBadRequest, code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusUnprocessableEntity:
		return date, &RefusedError{code, excerpt(text)}
	default:
		return date, &failedError{code, excerpt(text)}
	}
}

// excerpt returns the beginning of a response, in one line.
func excerpt(text []byte) string {
	const most = 120
	line := strings.Join(strings.Fields(string(text)), " ")
	if len(line) > most {
		line = line[:most]
	}
	return strings.ToValidUTF8(line, "?")
}
