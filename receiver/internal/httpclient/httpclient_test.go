package httpclient_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/smspager/smspager/receiver/internal/httpclient"
)

// echo responds with the credentials and headers of a request.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "of-%s", "token_type": "bearer"}`, r.Form.Get("tenant"))
		return
	}
	fmt.Fprint(w, r.Header.Get("Authorization"), "|", r.Header.Get("X-Scope-OrgID"), "|", r.Header.Get("Via"))
})

func get(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCredentials: credentials are sent both on the network and over another transport.
func TestCredentials(t *testing.T) {
	s := httptest.NewServer(echo)
	defer s.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headers := &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Scope-OrgID": {Values: []string{"acme"}}}}
	for want, cfg := range map[string]promconfig.HTTPClientConfig{
		"||":                    {},
		"Bearer one|acme|":      {Authorization: &promconfig.Authorization{Type: "Bearer", CredentialsFile: token}, HTTPHeaders: headers},
		"Basic dTpwdw==||":      {BasicAuth: &promconfig.BasicAuth{Username: "u", Password: "pw"}},
		"Bearer of-acme||":      {OAuth2: &promconfig.OAuth2{ClientID: "a", ClientSecret: "b", TokenURL: s.URL + "/token", EndpointParams: map[string]string{"tenant": "acme"}}},
		"Custom one|acme|":      {Authorization: &promconfig.Authorization{Type: "Custom", CredentialsFile: token}, HTTPHeaders: headers},
		"Bearer s3cret-t0ken||": {Authorization: &promconfig.Authorization{Type: "Bearer", Credentials: "s3cret-t0ken"}},
	} {
		for _, over := range []http.RoundTripper{nil, http.DefaultTransport} {
			if got := get(t, httpclient.New(&cfg, over, time.Minute), s.URL); got != want {
				t.Errorf("over %T: %q, want %q", over, got, want)
			}
		}
	}
	c := httpclient.New(&promconfig.HTTPClientConfig{Authorization: &promconfig.Authorization{Type: "Bearer", CredentialsFile: token}}, nil, time.Minute)
	get(t, c, s.URL)
	if err := os.WriteFile(token, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, s.URL); got != "Bearer two||" {
		t.Errorf("after the file has changed: %q", got)
	}
}

// TestTLSAndProxy: a private CA, a client certificate and a proxy work.
func TestTLSAndProxy(t *testing.T) {
	s := httptest.NewUnstartedServer(echo)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	key := promconfig.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if got := get(t, httpclient.New(nil, nil, time.Minute), s.URL); got == "||" {
		t.Error("an unknown CA is trusted")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, httpclient.New(&promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: ca, Cert: cert, Key: key}}, nil, time.Minute), s.URL); got != "||" {
		t.Errorf("a request with the CA gets %q", got)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Via", r.URL.Host)
		echo(w, r)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &promconfig.HTTPClientConfig{ProxyConfig: promconfig.ProxyConfig{ProxyURL: promconfig.URL{URL: u}}}
	if got := get(t, httpclient.New(cfg, nil, time.Minute), "http://alertmanager.example"); got != "||alertmanager.example" {
		t.Errorf("a request over the proxy gets %q", got)
	}
	broken := &promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: ca + ".gone"}}
	if got := get(t, httpclient.New(broken, nil, time.Minute), s.URL); got == "||" {
		t.Error("without its CA the server is trusted")
	}
}
