package textinghouse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const password = "pass&word=é"

func client(t testing.TB, o textinghouse.Options) *textinghouse.Client {
	t.Helper()
	if o.User == "" {
		o.User, o.Password = "acme", password
	}
	c, err := textinghouse.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var sms = textinghouse.SMS{To: "+33612345678", Text: "disk full & <é>", ClientID: "01KB2T9J8T1D0Z4JX0V5R0Q0WA"}

// responding starts an endpoint that gives the same response to every request.
func responding(t testing.TB, code int, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestSendRequest(t *testing.T) {
	var got *http.Request
	var form url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r
		form, _ = url.ParseQuery(string(body))
		fmt.Fprintln(w, "ID: 5d726149a129c829e8c23f7b ")
	}))
	defer s.Close()
	m := sms
	m.From = "Ops"
	id, err := client(t, textinghouse.Options{Endpoints: []string{s.URL + "/http/v1/do"}}).Send(context.Background(), m)
	if id != "5d726149a129c829e8c23f7b" || err != nil {
		t.Errorf("Send = %q, %v", id, err)
	}
	if got.Method != "POST" || got.URL.RequestURI() != "/http/v1/do" || got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("the request is %s %s %v", got.Method, got.URL, got.Header)
	}
	want := url.Values{"user": {"acme"}, "pass": {password}, "cmd": {"sendsms"}, "to": {"33612345678"}, "txt": {sms.Text}, "climsgid": {sms.ClientID}, "from": {"Ops"}, "iscom": {"N"}}
	if form.Encode() != want.Encode() {
		t.Errorf("the form is %v, want %v", form, want)
	}
}

func TestSendResponses(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		body string
		id   string
		err  string // contained in the error
		may  bool   // the provider may have accepted the message
	}{
		{"an id", 200, "ID:abc", "abc", "", false},
		{"an id with white space", 200, " ID: abc\r\n", "abc", "", false},
		{"an error", 200, "ERR: 104 | Insufficient credit", "", "sendsms: error 104: insufficient credit", false},
		{"an id after a byte order mark", 200, "\ufeffID:abc\r\n", "abc", "", false},
		{"an error after a byte order mark", 200, "\ufeffERR: 350 | Flood", "", "error 350", false},
		{"an unknown error", 200, "ERR: 777 | ???", "", "unknown error code 777", false},
		{"an error with an HTTP status", 400, "ERR: 100 | Missing", "", "error 100", false},
		{"an error without a description", 200, "ERR: 202", "", "error 202", false},
		{"an error without a bar", 200, "ERR: 202 unknown climsgid", "", "error 202", false},
		{"an error without a colon", 200, "ERR 202 | unknown", "", "error 202", false},
		{"an error in lower case", 200, "err:202|unknown", "", "error 202", false},
		{"an error with a decimal code", 200, "ERR: 202.5 | unknown", "", "unreadable response (HTTP 200)", true},
		{"an error with a code that begins a word", 200, "ERR: 202nd", "", "unreadable response (HTTP 200)", true},
		{"an error without a code", 200, "ERR: oops", "", "unreadable response (HTTP 200)", true},
		{"nothing", 200, "", "", `unreadable response (HTTP 200): ""`, true},
		{"a page", 200, "<html>It works!</html>", "", "It works!", true},
		{"an id with a space", 200, "ID:a b", "", "unreadable", true},
		{"an empty id", 200, "ID:", "", "unreadable", true},
		{"a server error", 503, "Service Unavailable", "", "unreadable response (HTTP 503)", true},
		{"a server error with an id", 502, "ID:abc", "", "unreadable response (HTTP 502)", true},
		{"a redirect", 302, "", "", "unreadable response (HTTP 302)", true},
		{"a response that is too long", 200, "ID:" + strings.Repeat("x", 1<<20), "", "unreadable", true},
		{"the password", 200, "you said " + password, "", "you said ****", true},
		{"the password in a form", 400, "bad request: user=acme&pass=" + url.QueryEscape(password) + "&cmd=", "", "pass=****&cmd", true},
		{"the password in a URL", 400, "bad path /" + url.PathEscape(password), "", "/****", true},
		{"the password in HTML", 400, "<p>you said " + html.EscapeString(password), "", "you said ****", true},
		{"control characters", 200, "a\x00b\x1b[31mc\nd", "", `"a b [31mc d"`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id, err := client(t, textinghouse.Options{Endpoints: []string{responding(t, tc.code, tc.body)}}).Send(context.Background(), sms)
			if id != tc.id || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("Send = %q, %v, want %q, %q", id, err, tc.id, tc.err)
			}
			if err != nil && (textinghouse.MayHaveBeenAccepted(err) != tc.may || strings.Contains(err.Error(), password) || len(err.Error()) > 200) {
				t.Errorf("%v: may have been accepted %v, want %v", err, textinghouse.MayHaveBeenAccepted(err), tc.may)
			}
		})
	}
}

// TestShortPassword: a response is read as it is, even if a part of it equals the password.
func TestShortPassword(t *testing.T) {
	c := client(t, textinghouse.Options{User: "acme", Password: "1234", Endpoints: []string{responding(t, 200, "ID:5d7261234a")}})
	if id, err := c.Send(context.Background(), sms); id != "5d7261234a" || err != nil {
		t.Errorf("Send = %q, %v", id, err)
	}
}

func TestCodes(t *testing.T) {
	for code, want := range map[textinghouse.Code]string{100: "permanent", 101: "account", 104: "account", 201: "permanent", 202: "permanent", 300: "retryable", 350: "retryable", 400: "permanent", 999: "retryable"} {
		got := map[bool]string{code.Permanent(): "permanent"}[true] + map[bool]string{code.AccountWide(): "account"}[true] + map[bool]string{code.Retryable(): "retryable"}[true]
		if got != want {
			t.Errorf("%d is %s, want %s", int(code), got, want)
		}
	}
	for status, want := range map[textinghouse.Status]string{0: "temporary", 1: "temporary", 3: "delivered", 4: "final", 5: "final", 6: "final", 7: "final", 20: "final", 2: "temporary", 42: "temporary"} {
		got := "temporary"
		if status.Final() {
			got = "final"
		}
		if status.Delivered() {
			got = "delivered"
		}
		if got != want || status.Known() == (status == 2 || status == 42) {
			t.Errorf("%d is %s (known: %v), want %s", int(status), got, status.Known(), want)
		}
	}
}

func TestStatusAndCredit(t *testing.T) {
	for body, want := range map[string]textinghouse.Status{"3": 3, " 20\n": 20, "0": 0, "42": 42} {
		if got, err := client(t, textinghouse.Options{Endpoints: []string{responding(t, 200, body)}}).Status(context.Background(), "x"); got != want || err != nil {
			t.Errorf("Status of %q = %v, %v", body, got, err)
		}
	}
	for body, want := range map[string]textinghouse.Credit{"1234": 1234, "12.5\n": 12.5, "-3": -3} {
		if got, err := client(t, textinghouse.Options{Endpoints: []string{responding(t, 200, body)}}).Credit(context.Background()); got != want || err != nil {
			t.Errorf("Credit of %q = %v, %v", body, got, err)
		}
	}
	for _, body := range []string{"", "three", "1e9", "0x1", "3 3", "NaN", "Inf", "--1"} {
		c := client(t, textinghouse.Options{Endpoints: []string{responding(t, 200, body)}})
		var unreadable *textinghouse.UnreadableResponseError
		if got, err := c.Credit(context.Background()); !errors.As(err, &unreadable) {
			t.Errorf("Credit of %q = %v, %v", body, got, err)
		}
		if got, err := c.Status(context.Background(), "x"); !errors.As(err, &unreadable) {
			t.Errorf("Status of %q = %v, %v", body, got, err)
		}
	}
}

// listen starts an endpoint whose connections handle serves.
func listen(t *testing.T, handle func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestMayHaveBeenAccepted(t *testing.T) {
	const refused = "http://127.0.0.1:1"
	readRequest := func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }
	for _, tc := range []struct {
		name, endpoint string
		may            bool
	}{
		{"connection refused", refused, false},
		{"no such host", "http://no-such-host.invalid", false},
		{"no TLS", strings.Replace(listen(t, func(c net.Conn) { fmt.Fprint(c, "220 smtp\r\n") }), "http:", "https:", 1), false},
		{"closed before the request is read", listen(t, func(net.Conn) {}), true},
		{"closed after the request was read", listen(t, readRequest), true},
		{"reset", listen(t, func(c net.Conn) { readRequest(c); _ = c.(*net.TCPConn).SetLinger(0) }), true},
		{"no response", listen(t, func(c net.Conn) { readRequest(c); _, _ = io.Copy(io.Discard, c) }), true},
		{"half a response", listen(t, func(c net.Conn) { readRequest(c); fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nID:") }), true},
		{"not HTTP", listen(t, func(c net.Conn) { readRequest(c); fmt.Fprint(c, "hello") }), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			timeout := 30 * time.Second
			if tc.name == "no response" {
				timeout = time.Second
			}
			_, err := client(t, textinghouse.Options{Endpoints: []string{tc.endpoint}, Timeout: timeout}).Send(context.Background(), sms)
			if err == nil || textinghouse.MayHaveBeenAccepted(err) != tc.may {
				t.Errorf("%v: may have been accepted %v, want %v", err, err != nil && !tc.may, tc.may)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "word") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	for name, m := range map[string]textinghouse.SMS{
		"no number": {Text: "x"}, "a national number": {To: "0612345678", Text: "x"}, "no plus": {To: "33612345678", Text: "x"},
		"no text": {To: "999"}, "a long id": {To: "999", Text: "x", ClientID: strings.Repeat("x", 33)}, "a bad sender": {To: "999", Text: "x", From: "Été"},
	} {
		if _, err := client(t, textinghouse.Options{Endpoints: []string{refused}}).Send(context.Background(), m); err == nil || textinghouse.MayHaveBeenAccepted(err) || strings.Contains(err.Error(), "refused") {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

// TestEndpoints: a request that certainly did not arrive goes to the next endpoint immediately, and
// the failed endpoint is skipped for a while.
func TestEndpoints(t *testing.T) {
	var hits [2]atomic.Int64
	var broken atomic.Bool
	endpoints := []string{}
	for i := range hits {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits[i].Add(1)
			if i == 0 && broken.Load() {
				w.WriteHeader(503)
				return
			}
			fmt.Fprint(w, "3")
		}))
		t.Cleanup(s.Close)
		endpoints = append(endpoints, s.URL)
	}
	c := client(t, textinghouse.Options{Endpoints: append([]string{"http://127.0.0.1:1"}, endpoints...)})
	for range 3 {
		if _, err := c.Status(context.Background(), "x"); err != nil {
			t.Error(err)
		}
	}
	if hits[0].Load() != 3 || hits[1].Load() != 0 {
		t.Errorf("the endpoints were asked %d and %d times, want 3 and 0", hits[0].Load(), hits[1].Load())
	}
	broken.Store(true)
	if _, err := c.Send(context.Background(), sms); !textinghouse.MayHaveBeenAccepted(err) || hits[1].Load() != 0 {
		t.Errorf("a 503 is hidden by another endpoint, though the request may have been accepted: %v", err)
	}
	if _, err := c.Status(context.Background(), "x"); err != nil || hits[0].Load() != 4 || hits[1].Load() != 1 {
		t.Errorf("after a 503 the next endpoint is not asked: %v", err)
	}
	c = client(t, textinghouse.Options{Endpoints: endpoints})
	if _, err := c.Status(context.Background(), "x"); err != nil || hits[0].Load() != 5 || hits[1].Load() != 2 {
		t.Errorf("a question that an endpoint fails does not go to the next one: %v", err)
	}
	for code, second := range map[int]string{300: "ok", 777: "ok", 350: "refused", 101: "refused"} {
		c := client(t, textinghouse.Options{Endpoints: []string{responding(t, 200, fmt.Sprintf("ERR: %d | x", code)), responding(t, 200, "ID:ok")}})
		if _, err := c.Send(context.Background(), sms); err == nil {
			t.Errorf("error %d is hidden by another endpoint", code)
		}
		if id, _ := c.Send(context.Background(), sms); (id == "ok") != (second == "ok") {
			t.Errorf("after error %d the next endpoint gives %q, want %s", code, id, second)
		}
	}
	all := client(t, textinghouse.Options{Endpoints: []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}})
	if _, err := all.Send(context.Background(), sms); err == nil || textinghouse.MayHaveBeenAccepted(err) || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "127.0.0.1:2") {
		t.Errorf("if none responds the error is %v", err)
	}
}

// TestSlowEndpointIsLeft: while another endpoint works, an endpoint has a quarter of the time. If
// it may have accepted a message, the other endpoint is asked for its status and does not get the
// message.
func TestSlowEndpointIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sims := [2]*textinghousetest.Simulator{textinghousetest.New(textinghousetest.Options{}), textinghousetest.New(textinghousetest.Options{})}
		defer sims[0].Close()
		defer sims[1].Close()
		route := routes{"slow": sims[0].Transport(), "quick": sims[1].Transport()}
		c := client(t, textinghouse.Options{
			User: "acme", Password: "correct horse", Endpoints: []string{"http://slow/", "http://quick/"}, Timeout: 8 * time.Second, Transport: route,
		})
		sims[0].AddFault(textinghousetest.Fault{Kind: textinghousetest.HangAfter})
		began := time.Now()
		_, err := c.Send(t.Context(), sms)
		if took := time.Since(began); !textinghouse.MayHaveBeenAccepted(err) || took != 2*time.Second || len(sims[1].Messages()) != 0 {
			t.Errorf("after %v the error is %v, and the other has %d messages", took, err, len(sims[1].Messages()))
		}
		next := sms
		next.ClientID = "next"
		if _, err := c.Send(t.Context(), next); err != nil || len(sims[1].Messages()) != 1 || time.Since(began) != 2*time.Second {
			t.Errorf("the next message: %v, after %v", err, time.Since(began))
		}
		sims[1].AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 7 * time.Second})
		if _, err := c.Credit(t.Context()); err != nil || time.Since(began) != 9*time.Second {
			t.Errorf("the only endpoint left does not get all of the time: %v, after %v", err, time.Since(began))
		}
	})
}

// routes maps hosts to transports.
type routes map[string]http.RoundTripper

func (r routes) RoundTrip(req *http.Request) (*http.Response, error) {
	return r[req.URL.Host].RoundTrip(req)
}

// TestRecover: only Recover tries a failed endpoint; once it responds, it is preferred as before.
func TestRecover(t *testing.T) {
	var hits atomic.Int64
	var broken atomic.Bool
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if broken.Load() {
			w.WriteHeader(503)
			return
		}
		fmt.Fprint(w, "3")
	}))
	t.Cleanup(first.Close)
	c := client(t, textinghouse.Options{Endpoints: []string{first.URL, responding(t, 200, "3")}})
	up := func() (up []bool) {
		for _, e := range c.Endpoints() {
			if e.Endpoint == "" || strings.Contains(e.Endpoint, "/") {
				t.Errorf("an endpoint is called %q", e.Endpoint)
			}
			up = append(up, e.Up)
		}
		return up
	}
	ask := func() { _, _ = c.Status(context.Background(), "x") }
	expect := func(when string, wantUp []bool, wantHits int64) {
		t.Helper()
		if got := up(); !slices.Equal(got, wantUp) || hits.Load() != wantHits {
			t.Errorf("%s: up %v after %d requests, want %v after %d", when, got, hits.Load(), wantUp, wantHits)
		}
	}
	c.Recover(t.Context())
	expect("all is well", []bool{true, true}, 0)
	broken.Store(true)
	ask()
	ask()
	expect("the first has failed", []bool{false, true}, 1)
	c.Recover(t.Context())
	expect("it still fails", []bool{false, true}, 2)
	broken.Store(false)
	c.Recover(t.Context())
	expect("it is back", []bool{true, true}, 3)
	ask()
	expect("it is preferred", []bool{true, true}, 4)
}

func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "3") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := client(t, textinghouse.Options{Endpoints: []string{s.URL}})
	for range 50 {
		if _, err := c.Status(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections for 50 requests, want 1", conns.Load())
	}
}

// TestProxyIsHonoured runs itself in a new process, because net/http reads the variables only once.
func TestProxyIsHonoured(t *testing.T) {
	if os.Getenv("HTTP_PROXY") != "" && os.Getenv("SMSPAGER_TEST_PROXY") != "" {
		if _, err := client(t, textinghouse.Options{Endpoints: []string{"http://provider.invalid/do"}}).Status(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
		return
	}
	used := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		used <- r.URL.String()
		fmt.Fprint(w, "3")
	}))
	defer proxy.Close()
	again := exec.Command(os.Args[0], "-test.run=^TestProxyIsHonoured$")
	again.Env = append(os.Environ(), "SMSPAGER_TEST_PROXY=1", "HTTP_PROXY="+proxy.URL)
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := <-used; got != "http://provider.invalid/do" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var got []string
	observe := func(e textinghouse.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e.Command+" "+e.Outcome)
	}
	hanging := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, endpoint := range []string{responding(t, 200, "ID:x"), responding(t, 200, "ERR: 350 | flood"), responding(t, 503, ""), responding(t, 200, "?"), "http://127.0.0.1:1", hanging} {
		_, _ = client(t, textinghouse.Options{Endpoints: []string{endpoint}, Observe: observe, Timeout: 300 * time.Millisecond}).Send(context.Background(), sms)
	}
	if want := "[sendsms ok sendsms 350 sendsms http_503 sendsms unreadable sendsms transport sendsms timeout]"; fmt.Sprint(got) != want {
		t.Errorf("observed %v, want %s", got, want)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]textinghouse.Options{
		"no user": {Password: "x"}, "no password": {User: "x"}, "no URL": {User: "x", Password: "y", Endpoints: []string{"api.example"}},
		"a URL with a password": {User: "x", Password: "y", Endpoints: []string{"https://u:hunter2@api.example"}}, "no endpoints": {User: "x", Password: "y", Endpoints: []string{}},
	} {
		if _, err := textinghouse.NewClient(o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s gives %v", name, err)
		}
	}
	o := textinghouse.Options{User: "acme", Password: "hunter2"}
	if shown := fmt.Sprintf("%v %+v %#v %s", o, o, o, o); strings.Contains(shown, "hunter2") {
		t.Errorf("options show as %s", shown)
	}
	if shown := fmt.Sprintf("%v %+v", client(t, o), client(t, o)); strings.Contains(shown, "hunter2") {
		t.Errorf("a client shows as %s", shown)
	}
}

func ExampleClient_Send() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	client, err := textinghouse.NewClient(provider.ClientOptions())
	if err != nil {
		panic(err)
	}
	apiID, err := client.Send(context.Background(), textinghouse.SMS{To: "999", Text: "test", ClientID: "my-id-1"})
	if err != nil {
		panic(err)
	}
	status, err := client.Status(context.Background(), apiID)
	fmt.Println(status, err)
	// Output: received <nil>
}

func ExampleMayHaveBeenAccepted() {
	provider := textinghousetest.NewServer(textinghousetest.Options{})
	defer provider.Close()
	provider.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Times: 1})
	client, err := textinghouse.NewClient(provider.ClientOptions())
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	_, err = client.Send(ctx, textinghouse.SMS{To: "999", Text: "test", ClientID: "my-id-1"})
	if textinghouse.MayHaveBeenAccepted(err) {
		status, err := client.StatusByClientID(ctx, "my-id-1")
		fmt.Println("do not send it again:", status, err)
	}
	// Output: do not send it again: received <nil>
}
