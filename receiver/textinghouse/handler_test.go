package textinghouse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestHandler(t *testing.T) {
	const (
		receipt = `{"apimsgid":"5d72","climsgid":"A","status":"3"}`
		reply   = `{"apimsgid":"5d72","climsgid":"A","from":"33639980001","txt":"ok","date":"2019-04-01T13:09:16Z"}`
	)
	here := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's address is 192.0.2.1
	for _, c := range []struct {
		name, method, path, body string
		networks                 []netip.Prefix
		code                     int
		outcome                  string
	}{
		{name: "receipt", path: "/textinghouse/secret/dlr", body: receipt, code: 200, outcome: "dlr applied"},
		{name: "reply", path: "/textinghouse/secret/mo", body: reply, code: 200, outcome: "mo done"},
		{name: "from the network", path: "/textinghouse/secret/dlr", body: receipt, networks: here, code: 200, outcome: "dlr applied"},
		{name: "from another network", path: "/textinghouse/secret/dlr", body: receipt, networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, code: 404, outcome: "dlr refused"},
		{name: "wrong token", path: "/textinghouse/secre/dlr", body: receipt, code: 404, outcome: "dlr refused"},
		{name: "GET", method: "GET", path: "/textinghouse/secret/mo", code: 405, outcome: "mo invalid"},
		{name: "not JSON", path: "/textinghouse/secret/dlr", body: "status=3", code: 400, outcome: "dlr invalid"},
		{name: "a receipt without an id", path: "/textinghouse/secret/dlr", body: `{"status":"3"}`, code: 400, outcome: "dlr invalid"},
		{name: "too large", path: "/textinghouse/secret/mo", body: strings.Repeat(" ", 65<<10), code: 400, outcome: "mo invalid"},
		{name: "not stored", path: "/textinghouse/secret/mo", body: strings.Replace(reply, "ok", "fail", 1), code: 503, outcome: "mo failed"},
		{name: "another path", path: "/textinghouse/secret/other", code: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			var observed string
			h := textinghouse.NewHandler(textinghouse.HandlerOptions{
				Token: "secret", Networks: c.networks,
				Receipt: func(_ context.Context, r textinghouse.Receipt) (string, error) {
					if r.ClientID != "A" || r.Status != 3 {
						t.Errorf("the receipt is %+v", r)
					}
					return "applied", nil
				},
				Reply: func(_ context.Context, r textinghouse.Reply) (string, error) {
					if r.Text == "fail" {
						return "", errors.New("disk full")
					}
					return "done", nil
				},
				Observe: func(kind, outcome string) { observed = kind + " " + outcome },
			})
			w := httptest.NewRecorder()
			if c.method == "" {
				c.method = "POST"
			}
			h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			if w.Code != c.code || observed != c.outcome {
				t.Errorf("%d %q, want %d %q: %s", w.Code, observed, c.code, c.outcome, w.Body)
			}
			if strings.Contains(w.Body.String(), "disk") {
				t.Errorf("the response shows an internal error: %s", w.Body)
			}
		})
	}
}

func TestHandlerWithoutToken(t *testing.T) {
	w := httptest.NewRecorder()
	textinghouse.NewHandler(textinghouse.HandlerOptions{}).ServeHTTP(w, httptest.NewRequest("POST", "/textinghouse//dlr", nil))
	if w.Code < 300 {
		t.Errorf("a callback without a token gets %d", w.Code)
	}
}

// A program sends a message, and receives its receipt and a reply.
func ExampleNewHandler() {
	outcomes := make(chan string)
	callbacks := httptest.NewServer(textinghouse.NewHandler(textinghouse.HandlerOptions{
		Token: "secret",
		Receipt: func(_ context.Context, r textinghouse.Receipt) (string, error) {
			outcomes <- fmt.Sprint("receipt for ", r.ClientID, ": ", r.Status)
			return "applied", nil
		},
		Reply: func(_ context.Context, r textinghouse.Reply) (string, error) {
			outcomes <- fmt.Sprint("reply from ", r.From, ": ", r.Text)
			return "done", nil
		},
	}))
	defer callbacks.Close()
	provider := textinghousetest.NewServer(textinghousetest.Options{Accounts: []textinghousetest.Account{{
		User: "acme", Password: "correct horse", Credit: 10,
		ReceiptURL: callbacks.URL + "/textinghouse/secret/dlr", ReplyURL: callbacks.URL + "/textinghouse/secret/mo",
	}}})
	defer provider.Close()
	client, err := textinghouse.NewClient(provider.ClientOptions())
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := client.Send(ctx, textinghouse.SMS{To: "+33639980001", Text: "The disk of db-1 is full", ClientID: "disk-1"}); err != nil {
		panic(err)
	}
	phone := provider.Phone("+33639980001")
	if _, err := phone.Next(ctx); err != nil {
		panic(err)
	}
	fmt.Println(<-outcomes)
	if err := phone.Reply("ok"); err != nil {
		panic(err)
	}
	fmt.Println(<-outcomes)
	// Output:
	// receipt for disk-1: received
	// reply from +33639980001: ok
}
