package access_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
)

func control() *access.Control {
	c := &access.Control{BasicAuth: func(user string) bool { return user != "unknown" }}
	c.Configure(&config.Config{
		API: config.API{Token: "0123456789abcdef"}, Webhook: config.Webhook{Token: "fedcba9876543210"},
		Contacts: []config.Contact{{Name: "alice", Aliases: []string{"Alice@example.com"}}, {Name: "bob"}},
		Console: config.Console{
			Users: []config.ConsoleUser{
				{Login: "al", Contact: "alice", Role: config.Responder}, {Login: "root", Role: config.Admin}, {Login: "tv", Role: config.Viewer},
			},
			LoginHeader: "X-User", GroupsHeader: "X-Groups",
			Groups:         []config.ConsoleGroup{{Name: "ops", Role: config.Admin}, {Name: "oncall", Role: config.Responder}},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		},
	})
	return c
}

type request struct {
	from    string // an address
	user    string // for basic auth
	token   string // bearer token
	headers map[string]string
	path    string
}

func (q request) http() *http.Request {
	r := httptest.NewRequest("POST", "http://pager.example"+q.path, nil)
	if q.from != "" {
		r.RemoteAddr = q.from
	}
	if q.user != "" {
		r.SetBasicAuth(q.user, "secret")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for name, value := range q.headers {
		for line := range strings.SplitSeq(value, "\n") {
			r.Header.Add(name, line)
		}
	}
	return r
}

func TestCaller(t *testing.T) {
	const proxy = "10.1.2.3:999"
	for name, c := range map[string]struct {
		request request
		want    access.Caller
	}{
		"nobody":                           {request{}, access.Caller{Role: config.Viewer}},
		"basic auth":                       {request{user: "al"}, access.Caller{Login: "al", Contact: "alice", Role: config.Responder}},
		"admin without a contact":          {request{user: "root"}, access.Caller{Login: "root", Role: config.Admin}},
		"basic auth, not listed":           {request{user: "bob"}, access.Caller{Login: "bob", Role: config.Viewer}},
		"basic auth, nobody checked":       {request{user: "unknown"}, access.Caller{Role: config.Viewer}},
		"token":                            {request{token: "0123456789abcdef"}, access.Caller{Role: config.Admin}},
		"wrong token":                      {request{token: "0123456789abcdee"}, access.Caller{Role: config.Viewer}},
		"the webhook's token":              {request{token: "fedcba9876543210"}, access.Caller{Role: config.Viewer}},
		"wrong token beside a login":       {request{from: proxy, token: "x", headers: map[string]string{"X-User": "al"}}, access.Caller{Role: config.Viewer}},
		"proxy":                            {request{from: proxy, headers: map[string]string{"X-User": "al"}}, access.Caller{Login: "al", Contact: "alice", Role: config.Responder}},
		"proxy, IPv4-mapped":               {request{from: "[::ffff:10.1.2.3]:9", headers: map[string]string{"X-User": "al"}}, access.Caller{Login: "al", Contact: "alice", Role: config.Responder}},
		"header from an untrusted address": {request{from: "192.0.2.1:999", headers: map[string]string{"X-User": "root"}}, access.Caller{Role: config.Viewer}},
		"groups from an untrusted address": {request{user: "tv", headers: map[string]string{"X-Groups": "ops"}}, access.Caller{Login: "tv", Role: config.Viewer}},
		"two logins":                       {request{from: proxy, headers: map[string]string{"X-User": "root\nal"}}, access.Caller{Role: config.Viewer}},
		"an empty login and another":       {request{from: proxy, headers: map[string]string{"X-User": "\nal"}}, access.Caller{Role: config.Viewer}},
		"an empty login":                   {request{from: proxy, user: "al", headers: map[string]string{"X-User": ""}}, access.Caller{Login: "al", Contact: "alice", Role: config.Responder}},
		"group":                            {request{from: proxy, headers: map[string]string{"X-User": "alice@EXAMPLE.com", "X-Groups": "staff, oncall"}}, access.Caller{Login: "alice@EXAMPLE.com", Contact: "alice", Role: config.Responder}},
		"two groups":                       {request{from: proxy, headers: map[string]string{"X-User": "bob", "X-Groups": "oncall,ops"}}, access.Caller{Login: "bob", Contact: "bob", Role: config.Admin}},
		"no group":                         {request{from: proxy, headers: map[string]string{"X-User": "bob", "X-Groups": "opsx"}}, access.Caller{Login: "bob", Role: config.Viewer}},
		"X-Forwarded-For is ignored":       {request{from: "192.0.2.1:9", headers: map[string]string{"X-Forwarded-For": "10.1.2.3", "X-User": "root"}}, access.Caller{Role: config.Viewer}},
	} {
		if got := control().Caller(c.request.http()); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestNobodyCanLogIn(t *testing.T) {
	c := &access.Control{}
	c.Configure(&config.Config{})
	r := request{user: "root", token: "", headers: map[string]string{"": "x"}}.http()
	if got := c.Caller(r); got.Role != config.Viewer || !got.Open || got.Login != "" {
		t.Errorf("the caller is %+v, want an open viewer", got)
	}
}

func TestAs(t *testing.T) {
	for name, c := range map[string]struct {
		caller  access.Caller
		by      string
		contact string
		status  int
	}{
		"nobody":                       {access.Caller{Role: config.Viewer}, "alice", "", 401},
		"viewer":                       {access.Caller{Login: "tv", Role: config.Viewer}, "alice", "", 403},
		"responder":                    {access.Caller{Login: "al", Contact: "alice", Role: config.Responder}, "", "alice", 200},
		"responder as somebody else":   {access.Caller{Login: "al", Contact: "alice", Role: config.Responder}, "bob", "", 403},
		"responder without contact":    {access.Caller{Login: "al", Role: config.Responder}, "", "", 400},
		"admin for somebody":           {access.Caller{Login: "root", Role: config.Admin}, "bob", "bob", 200},
		"script":                       {access.Caller{Role: config.Admin}, "bob", "bob", 200},
		"script that names nobody":     {access.Caller{Role: config.Admin}, "", "", 400},
		"a login that is not a member": {access.Caller{Login: "x", Role: config.Viewer}, "", "", 403},
	} {
		contact, err := c.caller.As(c.by)
		status := 200
		if err != nil {
			status = access.Status(err)
		}
		if contact != c.contact || status != c.status {
			t.Errorf("%s: %q %d %v", name, contact, status, err)
		}
	}
}

func TestNeedsNoLogin(t *testing.T) {
	const api, hook = "0123456789abcdef", "fedcba9876543210"
	for _, c := range []struct {
		path, token string
		want        bool
	}{
		{"/-/healthy", "", true}, {"/-/ready", "", true}, {"/-/reload", "", false}, {"/-/healthyx", "", false},
		{"/textinghouse/t/dlr", "", true}, {"/p/t", "", true},
		{"/alertmanager", hook, true}, {"/alertmanager/oncall", hook, true}, {"/alertmanagerx", hook, false},
		{"/api/v1/pages", hook, false}, {"/metrics", hook, false}, {"/", hook, false},
		{"/api/v1/pages", api, true}, {"/metrics", api, true},
		{"/api/v1/pages", "", false}, {"/api/v1/pages", "wrong", false}, {"/alertmanager", "wrong", false},
	} {
		if got := control().NeedsNoLogin(request{path: c.path, token: c.token}.http()); got != c.want {
			t.Errorf("%s with %q: %v", c.path, c.token, got)
		}
	}
}
