package config_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	promconfig "github.com/prometheus/common/config"

	"github.com/smspager/smspager/receiver/config"
)

// TestHTTPConfig: every key is read, file names are relative to the configuration, and secrets are not
// printed.
func TestHTTPConfig(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "hunter2\n")
	const text = `
textinghouse: {user: acme, password: x}
receivers: [{name: r, to: ["999"]}]
rotas:
  - {name: week, calendar_url: "https://c/x", http_config: {authorization: {credentials_file: token}, follow_redirects: false}}
alive: {url: "https://a/x", http_config: {proxy_url: "http://u:hunter2@proxy:3128", no_proxy: localhost, proxy_connect_header: {X-A: [hunter2]}}}
alertmanager:
  http_config:
    oauth2:
      client_id: a
      client_secret_file: token
      token_url: https://t/x
      scopes: [read, write]
      endpoint_params: {tenant: acme}
      claims: {level: 4, groups: [x]}
      proxy_from_environment: true
    tls_config: {server_name: am, min_version: TLS12, insecure_skip_verify: true}
    http_headers:
      X-Scope-OrgID: {values: [acme]}
      X-Token: {files: [token], secrets: [hunter2]}
`
	cfg, err := config.Parse(filepath.Join(dir, "smspager.yml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rota, alive, am := cfg.Rotas[0].HTTPConfig, cfg.Alive.HTTPConfig, cfg.Alertmanager.HTTPConfig
	if rota.Authorization.Type != "Bearer" || rota.Authorization.CredentialsFile != filepath.Join(dir, "token") || rota.FollowRedirects || !rota.EnableHTTP2 {
		t.Errorf("the calendar's http_config is %v", rota)
	}
	if alive.ProxyURL.Host != "proxy:3128" || alive.NoProxy != "localhost" || !alive.FollowRedirects || alive.ProxyConnectHeader["X-A"][0] != "hunter2" {
		t.Errorf("alive's http_config is %v", alive)
	}
	if o := am.OAuth2; o.ClientSecretFile != filepath.Join(dir, "token") || len(o.Scopes) != 2 || o.EndpointParams["tenant"] != "acme" || o.Claims["level"] != 4 || !o.ProxyFromEnvironment {
		t.Errorf("OAuth2 is %+v", o)
	}
	headers := am.HTTPHeaders.Headers
	if am.TLSConfig.MinVersion != promconfig.TLSVersions["TLS12"] || headers["X-Scope-OrgID"].Values[0] != "acme" || headers["X-Token"].Files[0] != filepath.Join(dir, "token") {
		t.Errorf("Alertmanager's http_config is %v", am)
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v", cfg, cfg, *cfg), fmt.Sprintf("%v %+v %s", am, am, *am), fmt.Sprintf("%v %+v", alive, *alive)} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("the secret shows as %s", shown)
		}
	}
}

// TestResolveLeavesHTTPConfig: resolving a literal makes file names absolute only in the copy.
func TestResolveLeavesHTTPConfig(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, filepath.Join(dir, "token"), "x\n")
	h := promconfig.DefaultHTTPClientConfig
	h.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
	h.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-A": {Files: []string{"token"}}}}
	cfg := &config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "x"},
		Receivers:    []config.Receiver{{Name: "r", To: []string{"999"}}},
		Alertmanager: config.Alertmanager{HTTPConfig: &h},
	}
	resolved, err := cfg.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if got := resolved.Alertmanager.HTTPConfig; !filepath.IsAbs(got.Authorization.CredentialsFile) || !filepath.IsAbs(got.HTTPHeaders.Headers["X-A"].Files[0]) {
		t.Errorf("resolved to %v", got)
	}
	if h.Authorization.CredentialsFile != "token" || h.Authorization.Type != "" || h.HTTPHeaders.Headers["X-A"].Files[0] != "token" {
		t.Errorf("Resolve changed the literal: %v", h)
	}
}
