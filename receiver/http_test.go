package receiver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/internal/api"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestWebhookResponses(t *testing.T) {
	c := start(t, textinghousetest.Options{}, `
webhook: {token: t0p-secret, max_body_bytes: 100000}
receivers:
  - {name: sms.a+b, to: ["`+alice+`"]}
  - {name: quiet, to: ["`+alice+`"], send_resolved: false}
  - {name: by-label, to_label: phone}
`)
	alert := `{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-23T19:24:46Z"}`
	body := func(receiver, status, alerts, more string) string {
		return fmt.Sprintf(`{"version":"4","receiver":%q,"status":%q,"alerts":%s,"groupKey":"g"%s}`, receiver, status, alerts, more)
	}
	one := "[" + alert + "]"
	for _, tc := range []struct {
		name, method, path, body, auth string
		code                           int
		response                       string // contained in it
	}{
		{"no token", "POST", "/alertmanager", body("quiet", "firing", one, ""), "", 401, "webhook.token_file"},
		{"wrong token", "POST", "/alertmanager", body("quiet", "firing", one, ""), "Bearer nope", 401, `{"error":"the bearer token is`},
		{"basic authentication", "POST", "/alertmanager", body("quiet", "firing", one, ""), "Basic t0p-secret", 401, ""},
		{"GET", "GET", "/alertmanager", "", "Bearer t0p-secret", 405, `the method must be POST`},
		{"too large", "POST", "/alertmanager", strings.Repeat(" ", 16*100000+1), "Bearer t0p-secret", 413, "webhook.max_body_bytes"},
		{"not JSON", "POST", "/alertmanager", "hello", "Bearer t0p-secret", 400, "not a JSON object"},
		{"half", "POST", "/alertmanager", `{"version":"4","al`, "Bearer t0p-secret", 400, "not a JSON object"},
		{"empty", "POST", "/alertmanager", "", "Bearer t0p-secret", 400, "the body is empty"},
		{"null", "POST", "/alertmanager", "null", "Bearer t0p-secret", 400, "it is null"},
		{"a list", "POST", "/alertmanager", "[]", "Bearer t0p-secret", 400, "not a JSON object"},
		{"trailing garbage", "POST", "/alertmanager", body("quiet", "firing", one, "") + "x", "Bearer t0p-secret", 400, "not a JSON object"},
		{"no version", "POST", "/alertmanager", `{"alerts":` + one + `}`, "Bearer t0p-secret", 400, `no \"version\"`},
		{"another version", "POST", "/alertmanager", `{"version":"3"}`, "Bearer t0p-secret", 400, `version \"3\"`},
		{"only a version", "POST", "/alertmanager", `{"version":"4"}`, "Bearer t0p-secret", 400, `\"alerts\" must be`},
		{"no alerts", "POST", "/alertmanager", body("quiet", "firing", "[]", ""), "Bearer t0p-secret", 400, `\"alerts\" must be`},
		{"null alerts", "POST", "/alertmanager", body("quiet", "firing", "null", ""), "Bearer t0p-secret", 400, `\"alerts\" must be`},
		{"a null alert", "POST", "/alertmanager", body("quiet", "firing", "[null]", ""), "Bearer t0p-secret", 400, "alerts[0]: must be an object"},
		{"an unknown status", "POST", "/alertmanager", body("quiet", "burning", one, ""), "Bearer t0p-secret", 400, "status must be"},
		{"an unknown alert status", "POST", "/alertmanager", body("quiet", "firing", `[{"status":"x"}]`, ""), "Bearer t0p-secret", 400, "alerts[0]: status must be"},
		{"unknown receiver", "POST", "/alertmanager", body("nobody", "firing", one, ""), "Bearer t0p-secret", 404, `no receiver \"nobody\" is configured; known: sms.a+b, quiet, by-label`},
		{"unknown receiver in the path", "POST", "/alertmanager/nobody", body("quiet", "firing", one, ""), "Bearer t0p-secret", 404, "known:"},
		{"unknown path", "POST", "/alertmanagers", "", "", 404, `{"error":`},
		{"accepted", "POST", "/alertmanager", body(`sms\.a\+b`, "firing", one, ""), "Bearer t0p-secret", 200, `{"status":"accepted","messages":["0`},
		{"again", "POST", "/alertmanager/sms.a+b", body("x", "firing", one, `,"notification_reason":"first notification","externalURL":"http://other"`), "bearer t0p-secret", 200, `{"status":"duplicate","messages":["0`},
		{"a wanted repeat", "POST", "/alertmanager/sms.a+b", body("x", "firing", one, `,"notification_reason":"repeat interval elapsed"`), "Bearer t0p-secret", 200, `duplicate`},
		{"PUT, with a slash behind the path", "PUT", "/alertmanager/sms.a+b/", body("x", "firing", one, ""), "Bearer t0p-secret", 200, `duplicate`},
		{"slashes too many", "POST", "//alertmanager//sms.a+b//", body("x", "firing", one, ""), "Bearer t0p-secret", 200, `duplicate`},
		{"an encoded slash", "POST", "/alertmanager/a%2F%2Fb%2F", body("x", "firing", one, ""), "Bearer t0p-secret", 404, `no receiver \"a//b/\"`},
		{"version 4 as a number", "POST", "/alertmanager/sms.a+b", strings.Replace(body("x", "firing", one, ""), `"4"`, `4`, 1), "Bearer t0p-secret", 200, `duplicate`},
		{"version 4 with its quotes", "POST", "/alertmanager/sms.a+b", strings.Replace(body("x", "firing", one, ""), `"4"`, `"\"4\""`, 1), "Bearer t0p-secret", 200, `duplicate`},
		{"another group", "POST", "/alertmanager/sms.a+b", strings.Replace(body("x", "firing", one, ""), `"g"`, `"h"`, 1), "Bearer t0p-secret", 200, `accepted`},
		{"resolved is not wanted", "POST", "/alertmanager", body("quiet", "resolved", `[{"status":"resolved"}]`, ""), "Bearer t0p-secret", 200, `{"status":"ignored","messages":[]}`},
		{"resolved, but cut", "POST", "/alertmanager", body("quiet", "resolved", `[{"status":"resolved"}]`, `,"truncatedAlerts":3`), "Bearer t0p-secret", 200, `accepted`},
		{"nobody is named", "POST", "/alertmanager", body("by-label", "firing", one, ""), "Bearer t0p-secret", 200, `{"status":"ignored","messages":[]}`},
		{"odd types", "POST", "/alertmanager", `{"version":"4","receiver":"quiet","status":"firing","alerts":[{"status":"firing","labels":{"a":1,"b":null,"c":{"d":[]}},"annotations":[],"startsAt":5,"endsAt":{},"fingerprint":7}],
			"truncatedAlerts":"x","groupLabels":3,"commonLabels":null,"externalURL":false,"groupKey":9,"Status":"trap","alertS":[]}`, "Bearer t0p-secret", 200, `accepted`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, response := c.do(tc.method, tc.path, tc.body, "Authorization", tc.auth)
			if code != tc.code || !strings.Contains(response, tc.response) || strings.Contains(response, "t0p-secret") {
				t.Errorf("responds %d %s, want %d %s", code, response, tc.code, tc.response)
			}
			if !strings.HasPrefix(response, "{") {
				t.Errorf("responds no JSON object: %s", response)
			}
		})
	}
}

func TestCallbackResponses(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.sim.Outcome(alice, textinghousetest.Never)
	id := c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
	c.until(id, "accepted")
	dlr, mo := "/textinghouse/"+token+"/dlr", "/textinghouse/"+token+"/mo"
	for _, tc := range []struct {
		name, method, path, body string
		code                     int
		state                    string
	}{
		{"wrong token", "POST", "/textinghouse/nope/dlr", `{"climsgid":"` + id + `","status":"3"}`, 404, "accepted"},
		{"unknown path", "POST", "/textinghouse/" + token + "/xyz", "", 404, "accepted"},
		{"GET", "GET", dlr, "", 405, "accepted"},
		{"not JSON", "POST", dlr, "status=3", 400, "accepted"},
		{"no id", "POST", dlr, `{"status":"3"}`, 400, "accepted"},
		{"no status", "POST", dlr, `{"climsgid":"` + id + `"}`, 400, "accepted"},
		{"unknown id", "POST", dlr, `{"climsgid":"other","status":"3"}`, 200, "accepted"},
		{"unknown status", "POST", dlr, `{"climsgid":"` + id + `","status":"42"}`, 200, "accepted"},
		{"temporary", "POST", dlr, `{"climsgid":"` + id + `","status":1,"more":[]}`, 200, "accepted"},
		{"a reply", "POST", mo, `{"climsgid":"` + id + `","from":"33612345678","txt":"ok","date":"2026-11-24 03:20:00"}`, 200, "accepted"},
		{"a reply, with slashes too many", "POST", "/" + mo + "/", `{"climsgid":"` + id + `","from":"33612345678","txt":"ok","date":"2026-11-24 03:21:00"}`, 200, "accepted"},
		{"a reply without a date", "POST", mo, `{"climsgid":"` + id + `","from":"33612345678","txt":"ok"}`, 200, "accepted"},
		{"final", "POST", dlr, `{"climsgid":"` + id + `","status":4}`, 200, "failed"},
		{"late", "POST", dlr, `{"climsgid":"` + id + `","status":"3"}`, 200, "failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, response := c.do(tc.method, tc.path, tc.body)
			if m := c.message(id); code != tc.code || m.State != tc.state {
				t.Errorf("responds %d %s, and the message is %s; want %d and %s", code, response, m.State, tc.code, tc.state)
			}
		})
	}
	events := c.message(id).Events
	if e := events[len(events)-2]; e.Type != "reply" || e.Detail != "ok" {
		t.Errorf("the event before the last is %+v", e)
	}
}

func TestCallbackNetworks(t *testing.T) {
	for network, code := range map[string]int{"127.0.0.0/8": 200, "203.0.113.0/24": 404} {
		c := start(t, textinghousetest.Options{}, simple)
		c.write(simple)
		text := strings.Replace(readFile(t, c.file), "callback_token:", "callback_networks: ["+network+"], callback_token:", 1)
		writeFile(t, c.file, text)
		if err := c.r.Reload(); err != nil {
			t.Fatal(err)
		}
		if got := c.status("POST", "/textinghouse/"+token+"/dlr", `{"climsgid":"x","status":"3"}`); got != code {
			t.Errorf("%s responds %d, want %d", network, got, code)
		}
	}
}

func TestAPI(t *testing.T) {
	c := start(t, textinghousetest.Options{}, captured)
	var ids []string
	for _, name := range []string{"01-single-firing-critical", "03-group-three-firing", "08-forty-alerts-max-5"} {
		a := c.post("/alertmanager", payload(t, "payloads/"+name+".json"))
		ids = append(ids, a.Messages...)
		c.until(a.Messages[0], "delivered")
	}
	list := func(query string) (got []int, next string) {
		code, text := c.do("GET", "/api/v1/messages"+query, "")
		var page api.Messages
		if err := json.Unmarshal([]byte(text), &page); err != nil || code != 200 {
			t.Fatalf("%s responds %d %s", query, code, text)
		}
		for _, m := range page.Messages {
			got = append(got, slices.Index(ids, m.ID))
		}
		return got, page.Next
	}
	for query, want := range map[string][]int{
		"":                          {2, 1, 0},
		"?limit=2":                  {2, 1},
		"?receiver=sms":             {2, 0},
		"?state=delivered":          {2, 1, 0},
		"?state=failed":             nil,
		"?to=%2B33612345678":        {2, 1, 0},
		"?to=+33612345678":          {2, 1, 0},
		"?to=999":                   nil,
		"?limit=2&before=" + ids[1]: {0},
	} {
		if got, _ := list(query); !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", query, got, want)
		}
	}
	if _, next := list("?limit=2"); next != ids[1] {
		t.Errorf("next is %q, want %q", next, ids[1])
	}
	if _, next := list("?limit=3"); next != "" {
		t.Errorf("next on the last page is %q", next)
	}
	for query, want := range map[string]string{
		"?state=x": "state must be one of", "?limit=0": "limit must be", "?limit=501": "limit must be", "?to=0612": "must be an E.164 number", "?colour=red": "unknown parameter",
	} {
		if code, response := c.do("GET", "/api/v1/messages"+query, ""); code != 400 || !strings.Contains(response, want) {
			t.Errorf("%s responds %d %s", query, code, response)
		}
	}
	if code := c.status("GET", "/api/v1/messages/nope", ""); code != 404 {
		t.Errorf("an unknown id responds %d", code)
	}
	_, raw := c.do("GET", "/api/v1/messages/"+ids[0], "")
	for _, field := range []string{"id", "to", "receiver", "group_key", "text", "encoding", "segments", "state", "api_id", "attempts", "created_at", "updated_at", "events"} {
		if !strings.Contains(raw, `"`+field+`":`) {
			t.Errorf("a message lacks %s: %s", field, raw)
		}
	}
}

// TestUnknownPaths: an unknown path gets an error in JSON, on the public address, too.
func TestUnknownPaths(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	for name, h := range map[string]http.Handler{"all": c.r.Handler(), "public": c.r.PublicHandler(), "private": c.r.PrivateHandler()} {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest("GET", "/nowhere", nil)); w.Code != 404 || !strings.Contains(w.Body.String(), `{"error":"no such path`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestPublicAndPrivateHandlersShareNothing(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	for _, tc := range []struct {
		handler http.Handler
		path    string
		code    int
	}{
		{c.r.PublicHandler(), "/textinghouse/" + token + "/dlr", 400},
		{c.r.PublicHandler(), "/alertmanager", 404},
		{c.r.PublicHandler(), "/metrics", 404},
		{c.r.PublicHandler(), "/api/v1/messages", 404},
		{c.r.PublicHandler(), "/-/healthy", 404},
		{c.r.PrivateHandler(), "/textinghouse/" + token + "/dlr", 404},
		{c.r.PrivateHandler(), "/alertmanager", 400},
	} {
		if code := serve(tc.handler, "POST", tc.path); code != tc.code {
			t.Errorf("POST %s responds %d, want %d", tc.path, code, tc.code)
		}
	}
}

func TestRefusedAccountIsReadyAndSaysSo(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 101, Command: "sendsms"})
	id := c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
	for c.metric("smspager_account_refused") != "1" {
	}
	if code, text := c.do("GET", "/-/ready", ""); code != 200 || !strings.Contains(text, "error 101") {
		t.Errorf("/-/ready responds %d %s", code, text)
	}
	c.sim.ClearFaults()
	if code, text := c.do("POST", "/-/reload", ""); code != 200 {
		t.Errorf("/-/reload responds %d %s", code, text)
	}
	c.until(id, "delivered")
}

// TestReadyReportsUnreachableProvider: /-/ready responds 200 and reports that no endpoint works. It does
// not report a change that will be stored within a second.
func TestReadyReportsUnreachableProvider(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropBefore})
	id := c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
	if code, text := c.do("GET", "/-/ready", ""); code != 200 || strings.Contains(text, "waiting to be stored") {
		t.Errorf("just after a webhook /-/ready responds %d %s", code, text)
	}
	testwait.Until(t, func() error {
		if code, text := c.do("GET", "/-/ready", ""); code != 200 || !strings.Contains(text, "No endpoint of the provider works.") {
			return fmt.Errorf("/-/ready responds %d %s", code, text)
		}
		return nil
	})
	c.sim.ClearFaults()
	c.until(id, "delivered")
	if _, text := c.do("GET", "/-/ready", ""); text != "smspager is ready." {
		t.Errorf("afterwards /-/ready responds %s", text)
	}
}

func TestReload(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.write("receivers:\n  - {name: new, to: [\"" + bob + "\"]}\n")
	if code, text := c.do("POST", "/-/reload", ""); code != 200 {
		t.Fatalf("responds %d %s", code, text)
	}
	id := c.post("/alertmanager/new", payload(t, "payloads/01-single-firing-critical.json")).Messages[0]
	if m := c.until(id, "delivered"); m.To != bob {
		t.Errorf("sent to %s", m.To)
	}
	for name, tail := range map[string]string{
		"a fault":         "receivers:\n  - {name: worse}\n",
		"another storage": "storage: {sqlite: other.db}\n" + simple,
	} {
		c.write(tail)
		if code, text := c.do("POST", "/-/reload", ""); code != 500 || !strings.Contains(text, "the old configuration stays") {
			t.Errorf("%s responds %d %s", name, code, text)
		}
		if c.metric("smspager_config_last_reload_successful") != "0" {
			t.Errorf("%s counts as successful", name)
		}
		if code, text := c.do("GET", "/-/ready", ""); code != 200 || !strings.Contains(text, "the old one stays in force") {
			t.Errorf("%s: /-/ready responds %d %s", name, code, text)
		}
	}
	if code := c.status("POST", "/alertmanager/new", payload(t, "payloads/03-group-three-firing.json")); code != 200 {
		t.Errorf("after refused reloads the old receiver responds %d", code)
	}
}

// TestEveryMetricIsDocumented also checks that the names pass promtool check metrics.
func TestEveryMetricIsDocumented(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	c.until(c.post("/alertmanager", payload(t, "payloads/01-single-firing-critical.json")).Messages[0], "delivered")
	docs := readFile(t, "../docs/metrics.md")
	_, text := c.do("GET", "/metrics", "")
	problems, err := promlint.New(strings.NewReader(text + "\n")).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	seen := 0
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(line, "# HELP smspager_")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		seen++
		if !strings.Contains(docs, "`"+name+"`") && !strings.Contains(docs, "`"+name+"{") {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
	if seen < 20 {
		t.Errorf("only %d metrics are shown", seen)
	}
}

// TestWrongMethods: a known path says which method it takes.
func TestWrongMethods(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/-/reload", "POST"}, {"POST", "/-/ready", "GET"}, {"POST", "/-/healthy", "GET"}, {"POST", "/metrics", "GET"},
		{"GET", "/api/v1/pages/6279/acknowledge", "POST"}, {"GET", "/api/v1/contacts/alice/verify", "POST"},
		{"GET", "/api/v1/preview", "POST"}, {"DELETE", "/api/v1/pages", "GET or POST"}, {"POST", "/api/v1/messages", "GET"},
	} {
		if code, text := c.do(tc.method, tc.path, ""); code != 405 || text != fmt.Sprintf(`{"error":"the method must be %s, is \"%s\""}`, tc.want, tc.method) {
			t.Errorf("%s %s responds %d %s", tc.method, tc.path, code, text)
		}
	}
	if code, text := c.do("POST", "/api/v1/nope", ""); code != 404 {
		t.Errorf("an unknown path responds %d %s", code, text)
	}
}

// TestRefusedWebhooksAreCountedFromZero: an alert on the increase of a code sees the first refused notification.
func TestRefusedWebhooksAreCountedFromZero(t *testing.T) {
	c := start(t, textinghousetest.Options{}, simple)
	for _, want := range []string{"0", "1"} {
		if got := c.metric(`smspager_webhook_requests_total{code="404"}`); got != want {
			t.Errorf("404 is counted as %q, want %s", got, want)
		}
		c.do("POST", "/alertmanager/nope", string(payload(t, "payloads/01-single-firing-critical.json")))
	}
}
