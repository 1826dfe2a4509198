package alertmanager

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// Silencing is a silence, with the listed alerts that it silences.
type Silencing struct {
	Silence
	Fingerprints []string // of the alerts
}

// Silencing returns the silences of alerts with these labels from the first Alertmanager that responds,
// the one that ends last first. It reads at most maxSilences.
func (s *Silencer) Silencing(ctx context.Context, labels map[string]string) (all []Silencing, err error) {
	err = s.each(func(base string) error {
		all = nil
		if !s.rested(base) {
			return errResting
		}
		err := s.silencing(ctx, base, labels, &all)
		s.responded(base, err)
		return err
	})
	slices.SortStableFunc(all, func(a, b Silencing) int { return b.EndsAt.Compare(a.EndsAt) })
	return all, err
}

func (s *Silencer) silencing(ctx context.Context, base string, labels map[string]string, all *[]Silencing) error {
	var alerts []listed
	if err := s.request(ctx, http.MethodGet, base+"/api/v2/alerts?"+filter(labels), nil, &alerts); err != nil {
		return err
	}
	by := make(map[string][]string) // fingerprints by the id of a silence
	var ids []string
	for _, a := range alerts {
		for _, id := range a.Status.SilencedBy {
			if by[id] == nil {
				ids = append(ids, id)
			}
			by[id] = append(by[id], a.Fingerprint)
		}
	}
	for _, id := range ids[:min(len(ids), maxSilences)] {
		silence := Silencing{Fingerprints: by[id]}
		if err := s.request(ctx, http.MethodGet, base+"/api/v2/silence/"+url.PathEscape(id), nil, &silence.Silence); err != nil {
			return err
		}
		*all = append(*all, silence)
	}
	return nil
}
