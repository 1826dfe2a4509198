package delivery_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// byHost sends requests to the simulator of their host.
type byHost map[string]*textinghousetest.Simulator

func (h byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	return h[r.URL.Host].Transport().RoundTrip(r)
}

// TestAllEndpointsAreAskedAfterAKill: a process was killed before it could store that one of two
// endpoints, which share nothing, had accepted a message. While that endpoint does not respond, the
// other one does not get the message before the doubt ends.
func TestAllEndpointsAreAskedAfterAKill(t *testing.T) {
	for name, tc := range map[string]struct {
		away         time.Duration
		first, other int // how often they accepted it in the end
	}{
		"back after a minute":    {time.Minute, 1, 0},
		"away for three minutes": {3 * time.Minute, 1, 1},
	} {
		inWorld(t, textinghousetest.Options{StatusDelay: time.Hour}, func(w *world) {
			w.halt()
			m := w.message(alice, "g", "disk full")
			w.stored(m)
			client := w.client(w.sim.Transport())
			if _, err := client.Send(context.Background(), textinghouse.SMS{To: string(alice), Text: m.Text, ClientID: m.ID}); err != nil {
				t.Fatal(err)
			}
			other := textinghousetest.New(textinghousetest.Options{FirstID: 1000, StatusDelay: time.Hour})
			defer other.Close()
			w.alter = func(s *delivery.Settings) {
				two, err := textinghouse.NewClient(textinghouse.Options{
					User: "acme", Password: "correct horse", Endpoints: []string{"http://first/", "http://other/"},
					Transport: byHost{"first": w.sim, "other": other}, Observe: func(x textinghouse.Exchange) { w.d.Observe(x) },
				})
				if err != nil {
					t.Fatal(err)
				}
				s.Gateway = two
			}
			w.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503})
			w.start()
			after(tc.away)
			w.sim.ClearFaults()
			after(time.Minute)
			w.expect(m.ID, outbox.Accepted, tc.first)
			if n := other.TimesAccepted(m.ID); n != tc.other {
				t.Errorf("%s: the other endpoint accepted it %d times, want %d", name, n, tc.other)
			}
			var declared bool
			for _, e := range w.get(m.ID).Events {
				declared = declared || strings.Contains(e.Detail, "it may arrive twice")
			}
			if declared != (tc.other > 0) {
				t.Errorf("%s: its history says that it may arrive twice: %v", name, declared)
			}
		})
	}
}
