package textinghousetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

var account = textinghousetest.Account{User: "acme", Password: "pw", Credit: 100, Senders: []string{"Ops"}}

func simulator(t *testing.T, a textinghousetest.Account) *textinghousetest.Server {
	t.Helper()
	s := textinghousetest.NewServer(textinghousetest.Options{Accounts: []textinghousetest.Account{a}})
	t.Cleanup(s.Close)
	return s
}

// form posts the parameters of a query, with user and password.
func form(t *testing.T, s *textinghousetest.Server, query string) string {
	t.Helper()
	values, err := url.ParseQuery("user=acme&pass=pw&" + query)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm(s.URL, values)
	return body(t, resp, err)
}

func body(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestRequestFormats(t *testing.T) {
	s := simulator(t, account)
	query := "user=acme&pass=pw&cmd=getcredit"
	for name, ask := range map[string]func() (*http.Response, error){
		"GET": func() (*http.Response, error) { return http.Get(s.URL + "?" + query) },
		"form": func() (*http.Response, error) {
			return http.Post(s.URL, "application/x-www-form-urlencoded", strings.NewReader(query))
		},
		"JSON": func() (*http.Response, error) {
			return http.Post(s.URL, "application/json; charset=utf-8", strings.NewReader(`{"user":"acme","pass":"pw","cmd":"getcredit"}`))
		},
	} {
		resp, err := ask()
		if got := body(t, resp, err); got != "100" || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s gives %q (%s)", name, got, resp.Header.Get("Content-Type"))
		}
	}
}

func TestErrors(t *testing.T) {
	s := simulator(t, account)
	long := strings.Repeat("x", 33)
	for _, tc := range []struct{ query, want string }{
		{"cmd=sendsms&to=33612345678&txt=a&iscom=N", "ID:"},
		{"cmd=sendsms&to=33612345678&txt=a&iscom=N", "ERR: 350 |"},
		{"cmd=sendsms&to=33612345679&txt=a&iscom=N", "ID:"},
		{"CMD=sendsms&to=33612345678&txt=a&iscom=N", "ERR: 100 |"},
		{"cmd=SendSMS&to=33612345678&txt=a&iscom=N", "ERR: 100 |"},
		{"cmd=sendsms&To=33612345678&txt=a&iscom=N", "ERR: 100 |"},
		{"cmd=sendsms&to=33612345678&iscom=N", "ERR: 100 |"},
		{"cmd=sendsms&to=33612345678&txt=b", "ERR: 100 |"},
		{"cmd=sendsms&to=33612345678&txt=b&iscom=n", "ERR: 100 |"},
		{"cmd=sendsms&to=33612345678&txt=b&iscom=N&climsgid=" + long, "ERR: 100 |"},
		{"cmd=sendsms&to=%2B33612345678&txt=b&iscom=N", "ERR: 300 |"},
		{"cmd=sendsms&to=33612345678&txt=b&iscom=Y", "ERR: 400 |"},
		{"cmd=getstatus", "ERR: 100 |"},
		{"cmd=getstatus&api_id=nope", "ERR: 201 |"},
		{"cmd=getstatus&climsgid=nope", "ERR: 202 |"},
		{"cmd=sendsms&to=33612345678&txt=" + strings.Repeat("y", 99*153) + "&iscom=N", "ERR: 104 |"},
		{"cmd=sendsms&to=999&txt=" + strings.Repeat("y", 99*153) + "&iscom=N", "ID:"},
		{"user=other&cmd=getcredit", "98"}, // the first value counts
	} {
		if got := form(t, s, tc.query); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%.60s gives %q, want %q", tc.query, got, tc.want)
		}
	}
	for query, want := range map[string]string{
		"": "ERR: 100 |", "user=acme&cmd=getcredit": "ERR: 100 |", "user=acme&pass=no&cmd=getcredit": "ERR: 101 |",
		"user=nobody&pass=pw&cmd=sendsms": "ERR: 101 |", "user=acme&pass=no&cmd=nope": "ERR: 101 |",
	} {
		resp, err := http.Get(s.URL + "?" + query)
		if got := body(t, resp, err); !strings.HasPrefix(got, want) {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
}

func TestIPLock(t *testing.T) {
	for network, want := range map[string]string{"127.0.0.0/8": "100", "203.0.113.0/24": "ERR: 101 |"} {
		a := account
		a.Networks = []netip.Prefix{netip.MustParsePrefix(network)}
		if got := form(t, simulator(t, a), "cmd=getcredit"); !strings.HasPrefix(got, want) {
			t.Errorf("from outside %s: %q, want %q", network, got, want)
		}
	}
}

func TestCreditAndSenders(t *testing.T) {
	s := simulator(t, account)
	form(t, s, "cmd=sendsms&to=33612345678&txt="+strings.Repeat("a", 161)+"&iscom=N&from=Ops")
	form(t, s, "cmd=sendsms&to=999&txt=a&iscom=N&from=Evil")
	if got := form(t, s, "cmd=getcredit"); got != "98" {
		t.Errorf("the credit is %s, want 98", got)
	}
	m := s.Messages()
	if m[0].From != "Ops" || m[0].Segments != 2 || m[1].From != "" {
		t.Errorf("the messages are %+v", m)
	}
}

func TestStatusesAndClientIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := textinghousetest.New(textinghousetest.Options{StatusDelay: time.Second})
		defer s.Close()
		s.Outcome("+33612345678", textinghouse.StatusNotReceived)
		s.Outcome("+33612345679", textinghousetest.Never)
		c, err := textinghouse.NewClient(textinghouse.Options{User: "acme", Password: "correct horse", Transport: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for _, to := range []string{"+33612345678", "+33612345679", "999"} {
			if _, err := c.Send(ctx, textinghouse.SMS{To: to, Text: "a", ClientID: to}); err != nil {
				t.Fatal(err)
			}
		}
		for second, want := range [][]textinghouse.Status{{0, 0, 0}, {1, 1, 1}, {6, 1, 3}, {6, 1, 3}} {
			synctest.Wait()
			for i, to := range []string{"+33612345678", "+33612345679", "999"} {
				if got, err := c.StatusByClientID(ctx, to); got != want[i] || err != nil {
					t.Errorf("after %d s %s has status %d, %v, want %d", second, to, int(got), err, int(want[i]))
				}
			}
			time.Sleep(time.Second)
		}
		time.Sleep(20 * time.Second)
		if _, err := c.Send(ctx, textinghouse.SMS{To: "999", Text: "a", ClientID: "999"}); err != nil {
			t.Errorf("the flood window does not end: %v", err)
		}
		if got, err := c.StatusByClientID(ctx, "999"); got != 0 || err != nil || s.TimesAccepted("999") != 2 {
			t.Errorf("getstatus of a climsgid that was used twice does not return the latest message: %v, %v", got, err)
		}
	})
}

func TestCommercialHours(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-11-23 12:00": "2026-11-23 12:00", // Monday
		"2026-11-23 03:00": "2026-11-23 08:00",
		"2026-11-23 20:00": "2026-11-24 08:00",
		"2026-11-28 09:00": "2026-11-28 10:00", // Saturday
		"2026-11-28 14:59": "2026-11-28 14:59",
		"2026-11-28 15:00": "2026-11-30 08:00",
		"2026-11-29 12:00": "2026-11-30 08:00", // Sunday
		"2026-12-25 12:00": "2026-12-26 10:00", // Christmas, a Friday
		"2027-03-29 12:00": "2027-03-30 08:00", // Easter Monday
		"2027-05-06 12:00": "2027-05-07 08:00", // Ascension Day
		"2027-05-17 12:00": "2027-05-18 08:00", // Whit Monday
	} {
		synctest.Test(t, func(t *testing.T) {
			const form = "2006-01-02 15:04"
			begin, err := time.ParseInLocation(form, at, paris)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(begin))
			s := textinghousetest.New(textinghousetest.Options{})
			defer s.Close()
			c, err := textinghouse.NewClient(textinghouse.Options{User: "acme", Password: "correct horse", Transport: s.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			id, err := c.Send(context.Background(), textinghouse.SMS{To: "+33612345678", Text: "Sale! STOP sms-s.top", Commercial: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Send(context.Background(), textinghouse.SMS{To: "+33612345678", Text: "an alarm"}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 7*24*time.Hour)
			defer cancel()
			if err := s.WaitStatus(ctx, id, textinghouse.StatusReceived); err != nil {
				t.Fatal(err)
			}
			if got := time.Now().In(paris).Format(form); got != want {
				t.Errorf("sent at %s, goes out at %s, want %s", at, got, want)
			}
			if alarm := s.Messages()[1]; !alarm.Retained.IsZero() || alarm.Status() != textinghouse.StatusReceived {
				t.Errorf("a message that is not commercial is %+v", alarm)
			}
		})
	}
}

// callbacks starts a server that records the callbacks it gets.
func callbacks(t *testing.T, code func(n int) int) (string, func() []string) {
	var mu sync.Mutex
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, string(b))
		n := len(got)
		mu.Unlock()
		w.WriteHeader(code(n))
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func ok(int) int { return http.StatusNoContent }

func TestReceiptsAndReplies(t *testing.T) {
	a := account
	var got func() []string
	a.ReceiptURL, got = callbacks(t, ok)
	a.ReplyURL, a.AllReceipts = a.ReceiptURL, true
	s := simulator(t, a)
	form(t, s, "cmd=sendsms&to=33612345678&txt=a&iscom=N&climsgid=FR-1")
	phone := s.Phone("+33612345678")
	m, err := phone.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitCallbacks(within(t), 2); err != nil {
		t.Fatal(err)
	}
	if err := phone.Reply("ok"); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitCallbacks(within(t), 3); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"1", "3"} {
		if r, err := textinghouse.ParseReceipt([]byte(got()[i])); err != nil || r.APIID != m.APIID || r.ClientID != "FR-1" || fmt.Sprint(int(r.Status)) != want {
			t.Errorf("receipt %d is %s", i, got()[i])
		}
	}
	if r, err := textinghouse.ParseReply([]byte(got()[2])); err != nil || r.From != "+33612345678" || r.Text != "ok" || r.ClientID != "FR-1" {
		t.Errorf("the reply is %s: %v", got()[2], err)
	}
	form(t, s, "cmd=sendsms&to=33612345678&txt=b&iscom=N&from=Ops")
	if _, err := phone.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := phone.Reply("ok"); err == nil || !strings.Contains(err.Error(), "Ops") {
		t.Errorf("a reply to a named sender gives %v", err)
	}
}

func TestCallbackIsRetried(t *testing.T) {
	a := account
	var got func() []string
	a.ReceiptURL, got = callbacks(t, func(n int) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	s := simulator(t, a)
	form(t, s, "cmd=sendsms&to=999&txt=a&iscom=N")
	if err := s.WaitCallbacks(within(t), 1); err != nil {
		t.Fatal(err)
	}
	if c := s.Callbacks()[0]; c.Tries != 2 || c.Code != 200 || len(got()) != 2 {
		t.Errorf("the callback is %+v", c)
	}
}

func TestCallbackFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"callback-lost,times=1":      "[3]",
		"callback-repeat=2,times=1":  "[1 1 3]",
		"callback-reorder,times=1":   "[3 1]",
		"callback-delay=2s,times=1":  "[3 1]",
		"callback-status=42,times=1": "[42 3]",
	} {
		a := account
		var got func() []string
		a.ReceiptURL, got = callbacks(t, ok)
		a.AllReceipts = true
		s := simulator(t, a)
		f, err := textinghousetest.ParseFault(fault)
		if err != nil {
			t.Fatal(err)
		}
		s.AddFault(f)
		form(t, s, "cmd=sendsms&to=999&txt=a&iscom=N")
		if err := s.WaitCallbacks(within(t), strings.Count(want, " ")+1); err != nil {
			t.Fatal(err)
		}
		var statuses []string
		for _, b := range got() {
			var fields map[string]string
			if err := json.Unmarshal([]byte(b), &fields); err != nil {
				t.Fatal(err)
			}
			statuses = append(statuses, fields["status"])
		}
		if fmt.Sprint(statuses) != want {
			t.Errorf("%s calls back %v, want %s", fault, statuses, want)
		}
	}
}

func TestRequestFaults(t *testing.T) {
	for fault, want := range map[string]struct {
		response string // "": none
		accepted int
	}{
		"latency=1ms":      {"200 ID:", 1},
		"status=503":       {"503 ", 0},
		"status-after=502": {"502 ", 1},
		"drop-before":      {"", 0},
		"drop-after":       {"", 1},
		"hang":             {"", 0},
		"hang-after":       {"", 1},
		"garbage":          {"200 <html>", 1},
		"err=300":          {"200 ERR: 300 |", 0},
		"bare-err=300":     {"200 ERR: 300", 0},
		"err=300,cmd=none": {"200 ID:", 1},
		"err=300,p=1e-15":  {"200 ID:", 1},
	} {
		s := simulator(t, account)
		f, err := textinghousetest.ParseFault(fault)
		if err != nil {
			t.Fatal(err)
		}
		f.Times = 1
		s.AddFault(f)
		patience := 30 * time.Second
		if strings.HasPrefix(fault, "hang") {
			patience = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"?user=acme&pass=pw&cmd=sendsms&to=999&txt=a&iscom=N&climsgid=c", nil)
		if err != nil {
			t.Fatal(err)
		}
		response := ""
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			response = fmt.Sprint(resp.StatusCode, " ", body(t, resp, nil))
		}
		cancel()
		if !strings.HasPrefix(response, want.response) || (response == "") != (want.response == "") {
			t.Errorf("%s: %q, want %q", fault, response, want.response)
		}
		testwait.Until(t, func() error { // after a timeout, the request may still be under way
			if got := s.TimesAccepted("c"); got != want.accepted {
				return fmt.Errorf("%s: accepted %d times, want %d", fault, got, want.accepted)
			}
			return nil
		})
		if strings.Contains(fault, "none") || strings.Contains(fault, "p=") {
			continue
		}
		if got := form(t, s, "cmd=getcredit"); got != "100" {
			t.Errorf("%s continues after its time: %q", fault, got)
		}
	}
}

func TestStatusFaults(t *testing.T) {
	s := simulator(t, account)
	form(t, s, "cmd=sendsms&to=999&txt=a&iscom=N&climsgid=c")
	ask := func(want, fault string) {
		t.Helper()
		if got := form(t, s, "cmd=getstatus&climsgid=c"); !strings.HasPrefix(got, want) {
			t.Errorf("getstatus is %q with %s, want %q", got, fault, want)
		}
	}
	for fault, want := range map[string]string{"lag=1h": "ERR: 202", "lag=1ns": "3", "other-status=42": "42"} {
		f, err := textinghousetest.ParseFault(fault)
		if err != nil {
			t.Fatal(err)
		}
		remove := s.AddFault(f)
		ask(want, fault)
		if got := form(t, s, "cmd=getstatus&climsgid=other"); !strings.HasPrefix(got, "ERR: 202") {
			t.Errorf("getstatus of an unknown message is %q with %s", got, fault)
		}
		remove()
		ask("3", "no fault")
	}
}

func TestParseFault(t *testing.T) {
	want := textinghousetest.Fault{Kind: textinghousetest.HTTPStatus, N: 503, Times: 3, P: 0.5, Command: "sendsms"}
	if got, err := textinghousetest.ParseFault("status=503,times=3,p=0.5,cmd=sendsms"); got != want || err != nil {
		t.Errorf("ParseFault = %+v, %v", got, err)
	}
	for _, bad := range []string{"", "explode", "status", "status=x", "latency=5", "hang=3", "hang,times=x", "hang,colour=red"} {
		if _, err := textinghousetest.ParseFault(bad); err == nil || !strings.Contains(err.Error(), "fault") {
			t.Errorf("ParseFault(%q) gives %v", bad, err)
		}
	}
}

func TestPhoneErrorsShowWhatItGot(t *testing.T) {
	s := simulator(t, account)
	form(t, s, "cmd=sendsms&to=33612345678&txt=hello&iscom=N")
	phone := s.Phone("+33612345678")
	if _, err := phone.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := phone.Next(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"hello"`) {
		t.Errorf("Next without a text gives %v", err)
	}
	if _, err := s.Phone("+33612345679").Next(ctx); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("Next without a text gives %v", err)
	}
}

func TestTwoAccountsShareNothing(t *testing.T) {
	s := textinghousetest.NewServer(textinghousetest.Options{Accounts: []textinghousetest.Account{account, {User: "other", Password: "pw", Credit: 5}}})
	defer s.Close()
	id := strings.TrimPrefix(form(t, s, "cmd=sendsms&to=999&txt=a&iscom=N&climsgid=c"), "ID:")
	for query, want := range map[string]string{"cmd=getstatus&api_id=" + id: "ERR: 201", "cmd=getstatus&climsgid=c": "ERR: 202", "cmd=getcredit": "5", "cmd=sendsms&to=999&txt=a&iscom=N": "ID:"} {
		resp, err := http.Get(s.URL + "?user=other&pass=pw&" + query)
		if got := body(t, resp, err); !strings.HasPrefix(got, want) {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
}

func Example() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	client, err := textinghouse.NewClient(provider.ClientOptions())
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := client.Send(ctx, textinghouse.SMS{To: "+33612345678", Text: "disk full on db-1"}); err != nil {
		panic(err)
	}
	sms, err := provider.Phone("+33612345678").Next(ctx)
	fmt.Println(sms.Text, err)
	// Output: disk full on db-1 <nil>
}
