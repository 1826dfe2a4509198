// Package httpclient makes the HTTP clients for Alertmanager, calendars and the dead-man's switch,
// as they are configured.
package httpclient

import (
	"net/http"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/smspager/smspager/receiver/config"
)

// New returns a client for an http_config, which may be nil. It reads files with secrets and
// certificates again when they change. If over is set, it carries the requests, with its own TLS
// and proxy. If a file cannot be read, each request returns the error.
func New(cfg *config.HTTPConfig, over http.RoundTripper, timeout time.Duration) *http.Client {
	client := &http.Client{Timeout: timeout, Transport: over}
	if cfg == nil {
		return client
	}
	if !cfg.FollowRedirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if over != nil {
		client.Transport = signed(cfg, over)
		return client
	}
	network, err := promconfig.NewRoundTripperFromConfig(*cfg, "smspager")
	if err != nil {
		network = unusable{err}
	}
	client.Transport = network
	return client
}

// signed adds the credentials and headers of a configuration to the requests that over carries.
func signed(cfg *config.HTTPConfig, over http.RoundTripper) http.RoundTripper {
	if a := cfg.Authorization; a != nil {
		over = promconfig.NewAuthorizationCredentialsRoundTripper(a.Type, secret(a.Credentials, a.CredentialsFile), over)
	}
	if b := cfg.BasicAuth; b != nil {
		over = promconfig.NewBasicAuthRoundTripper(secret(promconfig.Secret(b.Username), b.UsernameFile), secret(b.Password, b.PasswordFile), over)
	}
	if o := cfg.OAuth2; o != nil {
		credential := secret(o.ClientSecret, o.ClientSecretFile)
		if o.ClientCertificateKey != "" || o.ClientCertificateKeyFile != "" {
			credential = secret(o.ClientCertificateKey, o.ClientCertificateKeyFile)
		}
		over = promconfig.NewOAuth2RoundTripper(credential, o, over)
	}
	if h := cfg.HTTPHeaders; h != nil {
		over = promconfig.NewHeadersRoundTripper(h, over)
	}
	return over
}

func secret(text promconfig.Secret, file string) promconfig.SecretReader {
	if file != "" {
		return promconfig.NewFileSecret(file)
	}
	return promconfig.NewInlineSecret(string(text))
}

// unusable is a transport that fails because it could not be made.
type unusable struct{ err error }

func (u unusable) RoundTrip(*http.Request) (*http.Response, error) { return nil, u.err }
