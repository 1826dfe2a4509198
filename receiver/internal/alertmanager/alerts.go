package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"
)

const (
	// rest is for how long an Alertmanager that did not respond is not asked about alerts again.
	rest = 10 * time.Second
	// maxSilences bounds the silences that are read to learn who suppresses alerts, and until when.
	maxSilences = 10
	// defaultRepeat is Alertmanager's own repeat_interval.
	defaultRepeat = 4 * time.Hour
)

// Alert is an alert that Alertmanager lists.
type Alert struct {
	Fingerprint string
	Labels      map[string]string
	StartsAt    time.Time
	Suppressed  bool      // silenced, inhibited or muted
	By          string    // who suppresses it, as "silenced by bob until 04:30 UTC"
	Until       time.Time // when its silence ends; zero: unknown
	ListedBy    []string  // the URLs of the Alertmanagers that list it
}

// Listing holds the alerts that the Alertmanagers list.
type Listing struct {
	Alerts map[string]Alert // by fingerprint
	// Starts holds when each Alertmanager that responded started, by URL and by the clock of Options.Now. It is
	// zero if Alertmanager does not report that, or lists all wanted alerts. An Alertmanager does not store
	// alerts: after a start, it lists only those that it has received again.
	Starts map[string]time.Time
	All    bool // all Alertmanagers responded
}

// errResting is the error for an Alertmanager that did not respond a moment ago.
var errResting = errors.New("it did not respond a moment ago")

// Query selects the alerts of a Listing.
type Query struct {
	Labels map[string]string // labels that the alerts have
	// Receiver is the receiver that they are for. Another receiver may have routes without its mutes.
	Receiver string
	Wanted   []string // the fingerprints of the alerts that the caller looks for
}

// Alerts returns the alerts that Alertmanager lists. It asks all peers simultaneously, because one that was
// restarted may know less than the others. An alert is suppressed if every peer that lists it reports so.
// Alerts fails if no peer responds.
func (s *Silencer) Alerts(ctx context.Context, q Query) (*Listing, error) {
	type response struct {
		base   string
		alerts map[string]Alert
		start  time.Time
		err    error
	}
	responses := make(chan response, len(s.o.URLs))
	for _, base := range s.o.URLs {
		go func() {
			r := response{base: base, err: errResting}
			if s.rested(base) {
				if r.alerts, r.err = s.alerts(ctx, base, q); r.err == nil && slices.ContainsFunc(q.Wanted, func(f string) bool { _, ok := r.alerts[f]; return !ok }) {
					r.start, r.err = s.start(ctx, base)
				}
				s.responded(base, r.err)
			}
			responses <- r
		}()
	}
	all := &Listing{Alerts: make(map[string]Alert), Starts: make(map[string]time.Time)}
	var errs []error
	for range s.o.URLs {
		r := <-responses
		if r.err != nil {
			errs = append(errs, r.err)
			continue
		}
		all.Starts[r.base] = r.start
		for fingerprint, a := range r.alerts {
			known, ok := all.Alerts[fingerprint]
			by := append(known.ListedBy, r.base)
			if !ok || known.Suppressed {
				known = a
			}
			known.ListedBy = by
			all.Alerts[fingerprint] = known
		}
	}
	if len(all.Starts) == 0 {
		return nil, errors.Join(errs...)
	}
	all.All = len(errs) == 0
	return all, nil
}

// start returns when an Alertmanager started, zero if it refuses to report that. It fails if Alertmanager
// does not respond: it is then unknown whether it lists all firing alerts yet. The clocks of the two may
// differ, so the start is as long ago as Alertmanager's own clock says.
func (s *Silencer) start(ctx context.Context, base string) (time.Time, error) {
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	date, err := s.dated(ctx, http.MethodGet, base+"/api/v2/status", nil, &status)
	var refused *RefusedError
	if errors.As(err, &refused) {
		err = nil
	}
	if status.Uptime.IsZero() || date.IsZero() {
		return status.Uptime, err
	}
	return s.o.Now().Add(-date.Sub(status.Uptime)), err
}

// rested reports whether an Alertmanager may be asked about alerts.
func (s *Silencer) rested(base string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !time.Now().Before(s.resting[base])
}

func (s *Silencer) responded(base string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.resting, base)
	if err != nil {
		s.resting[base] = time.Now().Add(rest)
	}
}

// listed is an alert in the API's format.
type listed struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	StartsAt    time.Time         `json:"startsAt"`
	Status      struct {
		State       string   `json:"state"`
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
		MutedBy     []string `json:"mutedBy"`
	} `json:"status"`
}

// alerts asks one Alertmanager for its alerts. Only the groups report which alerts are muted by the time
// intervals of their routes; before 0.28 nothing reports that.
func (s *Silencer) alerts(ctx context.Context, base string, q Query) (map[string]Alert, error) {
	query := filter(q.Labels)
	var groups []group
	grouped := make(chan error, 1)
	go func() { grouped <- s.request(ctx, http.MethodGet, base+"/api/v2/alerts/groups?"+query, nil, &groups) }()
	var alerts []listed
	err := s.request(ctx, http.MethodGet, base+"/api/v2/alerts?"+query, nil, &alerts)
	if <-grouped != nil {
		groups = nil
	}
	if err != nil {
		return nil, err
	}
	if alerts == nil {
		return nil, errors.New("the response is not a list of alerts")
	}
	muted := mutes(groups, q.Receiver)
	all, silences := make(map[string]Alert, len(alerts)), make(map[string]Silence)
	for _, a := range alerts {
		known := Alert{Fingerprint: a.Fingerprint, Labels: a.Labels, StartsAt: a.StartsAt}
		switch {
		case len(a.Status.SilencedBy) > 0:
			known.Suppressed = true
			known.By, known.Until = s.silenced(ctx, base, a.Status.SilencedBy, silences)
		case len(a.Status.InhibitedBy) > 0:
			known.Suppressed, known.By = true, "inhibited by another alert"
		case len(a.Status.MutedBy) > 0:
			known.Suppressed, known.By = true, "muted by "+strings.Join(a.Status.MutedBy, ", ")
		case muted[a.Fingerprint] != "":
			known.Suppressed, known.By = true, muted[a.Fingerprint]
		case a.Status.State == "suppressed":
			known.Suppressed, known.By = true, "suppressed"
		}
		all[a.Fingerprint] = known
	}
	return all, nil
}

// group is a group of alerts in the API's format.
type group struct {
	Receiver struct {
		Name string `json:"name"`
	} `json:"receiver"`
	Alerts []listed `json:"alerts"`
}

// mutes returns who mutes alerts, by fingerprint: those that are muted in all groups of the receiver. If no
// group is the receiver's, because Alertmanager has another name for it, all groups count.
func mutes(groups []group, receiver string) map[string]string {
	other := func(g group) bool { return g.Receiver.Name != receiver }
	if receivers := slices.DeleteFunc(slices.Clone(groups), other); len(receivers) > 0 {
		groups = receivers
	}
	muted, free := make(map[string]string), make(map[string]bool)
	for _, g := range groups {
		for _, a := range g.Alerts {
			if len(a.Status.MutedBy) > 0 {
				muted[a.Fingerprint] = "muted by " + strings.Join(a.Status.MutedBy, ", ")
			} else {
				free[a.Fingerprint] = true
			}
		}
	}
	maps.DeleteFunc(muted, func(fingerprint, _ string) bool { return free[fingerprint] })
	return muted
}

// silenced returns who has silenced an alert, and until when, as far as the silences can be read. read
// holds the silences already read.
func (s *Silencer) silenced(ctx context.Context, base string, ids []string, read map[string]Silence) (by string, until time.Time) {
	by = "silenced"
	for _, id := range ids {
		silence, known := read[id]
		if !known && len(read) < maxSilences {
			if s.request(ctx, http.MethodGet, base+"/api/v2/silence/"+url.PathEscape(id), nil, &silence) != nil {
				silence = Silence{}
			}
			read[id] = silence
		}
		if silence.EndsAt.After(until) {
			until = silence.EndsAt
			by = fmt.Sprintf("silenced by %s until %s", silence.CreatedBy, until.UTC().Format("15:04 MST"))
		}
	}
	return by, until
}

// filter returns the query for alerts with these labels. In a value, Alertmanager knows three escapes: of
// the backslash, the double quote and the newline. filter leaves out labels with non-legacy names, which
// old versions refuse.
func filter(labels map[string]string) string {
	query := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if model.LegacyValidation.IsValidLabelName(name) {
			query.Add("filter", name+`="`+escapes.Replace(labels[name])+`"`)
		}
	}
	return query.Encode()
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// LongestRepeat returns the longest repeat_interval of Alertmanager's routes. If an alert ends while it is
// silenced and fires again, Alertmanager may send no notification for that long.
func (s *Silencer) LongestRepeat(ctx context.Context) (longest time.Duration, err error) {
	err = s.each(func(base string) error {
		var status struct {
			Config struct {
				Original string `json:"original"`
			} `json:"config"`
		}
		if err := s.request(ctx, http.MethodGet, base+"/api/v2/status", nil, &status); err != nil {
			return err
		}
		var config struct {
			Route route `yaml:"route"`
		}
		if err := yaml.Unmarshal([]byte(status.Config.Original), &config); err != nil {
			return fmt.Errorf("read Alertmanager's configuration: %w", err)
		}
		longest = config.Route.longestRepeat(defaultRepeat)
		return nil
	})
	return longest, err
}

// route holds the fields of a route that LongestRepeat reads.
type route struct {
	RepeatInterval string  `yaml:"repeat_interval"`
	Routes         []route `yaml:"routes"`
}

func (r *route) longestRepeat(inherited time.Duration) time.Duration {
	if own, err := model.ParseDuration(r.RepeatInterval); err == nil {
		inherited = time.Duration(own)
	}
	longest := inherited
	for i := range r.Routes {
		longest = max(longest, r.Routes[i].longestRepeat(inherited))
	}
	return longest
}
