package textinghouse_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestEndpointsThatMayHaveTheMessageAreAsked: endpoints that share nothing make no double, because a message counts as
// unknown only if every endpoint that may have it says so.
func TestEndpointsThatMayHaveTheMessageAreAsked(t *testing.T) {
	type fault = textinghousetest.Fault
	for name, tc := range map[string]struct {
		sending, asking fault // of the endpoint that gets the message
		restarts        bool  // another client asks
		known, unknown  bool
		other           int // questions to the other endpoint
	}{
		"the endpoint has the message":                 {sending: fault{Kind: textinghousetest.HangAfter}, known: true},
		"the endpoint does not have the message":       {sending: fault{Kind: textinghousetest.Hang}, unknown: true},
		"the endpoint is gone":                         {sending: fault{Kind: textinghousetest.HangAfter}, asking: fault{Kind: textinghousetest.Hang}, other: 1},
		"after a restart":                              {sending: fault{Kind: textinghousetest.HangAfter}, restarts: true, known: true},
		"after a restart, no endpoint has the message": {sending: fault{Kind: textinghousetest.Hang}, restarts: true, unknown: true, other: 1},
		"after a restart, the endpoint is away":        {sending: fault{Kind: textinghousetest.HangAfter}, asking: fault{Kind: textinghousetest.HTTPStatus, N: 503}, restarts: true, other: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			sims := [2]*textinghousetest.Simulator{textinghousetest.New(textinghousetest.Options{}), textinghousetest.New(textinghousetest.Options{})}
			defer sims[0].Close()
			defer sims[1].Close()
			options := textinghouse.Options{
				User: "acme", Password: "correct horse", Endpoints: []string{"http://first/", "http://other/"}, Timeout: 8 * time.Second,
				Transport: routes{"first": sims[0].Transport(), "other": sims[1].Transport()},
			}
			c := client(t, options)
			sims[0].AddFault(tc.sending)
			if _, err := c.Send(t.Context(), textinghouse.SMS{To: "+33612345678", Text: "disk full", ClientID: "m"}); !textinghouse.MayHaveBeenAccepted(err) {
				t.Fatalf("%s: Send gives %v", name, err)
			}
			sims[0].ClearFaults()
			if tc.asking.Kind != "" {
				sims[0].AddFault(tc.asking)
			}
			if tc.restarts {
				c = client(t, options)
			}
			began := time.Now()
			_, err := c.StatusByClientID(t.Context(), "m")
			var refusal *textinghouse.Error
			if unknown := errors.As(err, &refusal) && refusal.Code == textinghouse.CodeUnknownClientID; (err == nil) != tc.known || unknown != tc.unknown {
				t.Errorf("%s: the question gives %v", name, err)
			}
			if n := sims[1].Requests("acme", "getstatus"); n != tc.other || time.Since(began) > 2*time.Second {
				t.Errorf("%s: the other endpoint got %d questions, want %d; it took %v", name, n, tc.other, time.Since(began))
			}
		})
	}
}

// TestEndpointThatMayHaveTheMessageGetsItAgain: while an endpoint may have a message that getstatus does not know
// yet, only its flood rule prevents a double, so no other endpoint gets the message.
func TestEndpointThatMayHaveTheMessageGetsItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sims := [2]*textinghousetest.Simulator{textinghousetest.New(textinghousetest.Options{}), textinghousetest.New(textinghousetest.Options{FirstID: 1000})}
		defer sims[0].Close()
		defer sims[1].Close()
		c := client(t, textinghouse.Options{
			User: "acme", Password: "correct horse", Endpoints: []string{"http://first/", "http://other/"}, Timeout: 8 * time.Second,
			Transport: routes{"first": sims[0].Transport(), "other": sims[1].Transport()},
		})
		sms := textinghouse.SMS{To: "+33612345678", Text: "disk full", ClientID: "m"}
		sims[0].AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Times: 1})
		for range 3 {
			if _, err := c.Send(t.Context(), sms); err == nil {
				t.Fatal("the message was accepted twice")
			}
			time.Sleep(3 * time.Second)
		}
		if n := sims[1].Requests("acme", "sendsms"); n != 0 {
			t.Errorf("the other endpoint got the message %d times", n)
		}
		time.Sleep(15 * time.Second)
		sims[0].AddFault(textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503})
		if _, err := c.Credit(t.Context()); err != nil { // the first endpoint is avoided
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), sms); err != nil || len(sims[1].Messages()) != 1 {
			t.Errorf("although getstatus must know the message by now, no other endpoint gets it: %v", err)
		}
	})
}
