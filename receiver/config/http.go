package config

import (
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"gopkg.in/yaml.v3"
)

// HTTPConfig sets how a server is reached: CA, client certificate, proxy, headers and credentials.
// It is Prometheus's http_config. A program starts from [promconfig.DefaultHTTPClientConfig]; nil:
// no credentials, and the proxy of the environment.
type HTTPConfig = promconfig.HTTPClientConfig

// decodeURL reads a URL. A fault does not show it, because it may hold a password.
func (d *decoder) decodeURL(path string, node *yaml.Node, u *promconfig.URL) {
	s, ok := d.scalar(path, node, "a URL")
	if !ok {
		return
	}
	parsed, err := url.Parse(s)
	if err != nil || parsed.Host == "" {
		d.fault(path, "must be a URL such as http://proxy.example:3128")
		return
	}
	u.URL = parsed
}

func (d *decoder) decodeTLSVersion(path string, node *yaml.Node, version *promconfig.TLSVersion) {
	s, ok := d.scalar(path, node, "a TLS version such as TLS12")
	if !ok {
		return
	}
	known, ok := promconfig.TLSVersions[s]
	if !ok {
		d.fault(path, "must be one of %s, is %q", strings.Join(slices.Sorted(maps.Keys(promconfig.TLSVersions)), ", "), s)
		return
	}
	*version = known
}

// http checks an http_config, which may be nil, and makes its file names absolute. Its secrets stay
// in their files, which are read again for each request.
func (v *validator) http(path string, h *HTTPConfig) {
	if h == nil {
		return
	}
	path += ".http_config"
	h.SetDirectory(v.dir)
	reported := len(v.faults)
	check := func(path string, err error) {
		if err != nil {
			v.fault(path, "%v", err)
		}
	}
	authorization := path + ".authorization"
	if h.BearerTokenFile != "" || h.BearerToken != "" { // the older keys, which Validate turns into authorization
		authorization = path + ".bearer_token"
		if h.BearerTokenFile != "" {
			authorization += "_file"
		}
	}
	check(path, h.Validate())
	check(path+".tls_config", h.TLSConfig.Validate())
	v.files(path+".tls_config", h.TLSConfig.CAFile, h.TLSConfig.CertFile, h.TLSConfig.KeyFile)
	if a := h.Authorization; a != nil {
		if a.Credentials == "" && a.CredentialsFile == "" && a.CredentialsRef == "" {
			v.fault(authorization, "no credentials; set credentials_file to the file that holds them")
		}
		v.files(authorization, a.CredentialsFile)
	}
	if b := h.BasicAuth; b != nil {
		if b.Username == "" && b.UsernameFile == "" && b.UsernameRef == "" {
			v.fault(path+".basic_auth", "no user; set username")
		}
		if b.Password == "" && b.PasswordFile == "" && b.PasswordRef == "" {
			v.fault(path+".basic_auth", "no password; set password_file to the file that holds it")
		}
		v.files(path+".basic_auth", b.UsernameFile, b.PasswordFile)
	}
	if o := h.OAuth2; o != nil {
		check(path+".oauth2", o.ProxyConfig.Validate())
		check(path+".oauth2.tls_config", o.TLSConfig.Validate())
		v.files(path+".oauth2", o.ClientSecretFile, o.ClientCertificateKeyFile, o.TLSConfig.CAFile, o.TLSConfig.CertFile, o.TLSConfig.KeyFile)
	}
	if h.HTTPHeaders != nil {
		for _, name := range slices.Sorted(maps.Keys(h.HTTPHeaders.Headers)) {
			v.files(path+".http_headers."+name, h.HTTPHeaders.Headers[name].Files...)
		}
	}
	if len(v.faults) == reported {
		_, err := promconfig.NewRoundTripperFromConfig(*h, "smspager")
		check(path, err)
	}
}

// files checks that files can be read and are not empty; "" names no file.
func (v *validator) files(path string, names ...string) {
	for _, name := range names {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(name)
		switch {
		case err != nil:
			v.fault(path, "%v", Unreadable(err))
		case strings.TrimSpace(string(text)) == "":
			v.fault(path, "the file %s is empty; put into it what the key names", name)
		}
	}
}

// cloneHTTP returns a copy that shares nothing that Resolve changes.
func cloneHTTP(h *HTTPConfig) *HTTPConfig {
	if h == nil {
		return nil
	}
	c := *h
	c.BasicAuth, c.Authorization, c.OAuth2 = cloned(h.BasicAuth), cloned(h.Authorization), cloned(h.OAuth2)
	if h.HTTPHeaders != nil {
		headers := make(map[string]promconfig.Header)
		for name, header := range h.HTTPHeaders.Headers {
			header.Files = slices.Clone(header.Files)
			headers[name] = header
		}
		c.HTTPHeaders = &promconfig.Headers{Headers: headers}
	}
	return &c
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
