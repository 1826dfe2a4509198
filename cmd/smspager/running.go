package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	promconfig "github.com/prometheus/common/config"
)

// running holds the flags of subcommands that ask a running smspager over HTTP.
type running struct{ url, httpConfig, output string }

const defaultURL = "http://127.0.0.1:9879"

func (r *running) flags(cmd *kingpin.CmdClause) {
	r.urlFlags(cmd, defaultURL)
	outputFlag(cmd, &r.output)
}

// urlFlags adds the flags for the URL of smspager serve and the login there.
func (r *running) urlFlags(cmd *kingpin.CmdClause, url string) {
	cmd.Flag("url", "URL of smspager serve.").Envar("SMSPAGER_URL").Default(url).StringVar(&r.url)
	cmd.Flag("http.config.file", "How to log in there, as in amtool: a file with basic_auth, authorization (type Bearer, the token of api.token_file) or tls_config.").
		PlaceHolder("FILE").Envar("SMSPAGER_HTTP_CONFIG_FILE").StringVar(&r.httpConfig)
}

// given returns the flags of this call that a proposed command needs too, each with a space before it.
func (r *running) given() string {
	flags := ""
	if r.url != defaultURL && os.Getenv("SMSPAGER_URL") == "" {
		flags += " --url=" + word(redacted(r.url))
	}
	if r.httpConfig != "" && os.Getenv("SMSPAGER_HTTP_CONFIG_FILE") == "" {
		flags += " --http.config.file=" + word(r.httpConfig)
	}
	return flags
}

// client returns a client that logs in as --http.config.file says.
func (r *running) client() (*http.Client, error) {
	if r.httpConfig == "" {
		return http.DefaultClient, nil
	}
	cfg, _, err := promconfig.LoadHTTPConfigFile(r.httpConfig)
	if err == nil {
		err = cfg.Validate()
	}
	var client *http.Client
	if err == nil {
		client, err = promconfig.NewClientFromConfig(*cfg, "smspager")
	}
	if err != nil {
		return nil, fmt.Errorf("--http.config.file: %w", badFile(r.httpConfig, err, "a login is like authorization: {credentials_file: api.token}"))
	}
	return client, nil
}

// goOnly matches what only Go programmers understand in errors of yaml.v2, and the beginning of a value, which
// may be a secret.
var goOnly = regexp.MustCompile(" in type [\\w.]+| into [\\w.*\\[\\]]+| `[^`]*`")

// badFile returns the error of a file that cannot be read or used, in one line, with what to do. like describes
// a valid file.
func badFile(file string, err error, like string) error {
	var path *fs.PathError
	switch {
	case errors.As(err, &path) && errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w; name a file in that folder", err)
	case errors.As(err, &path):
		return err // names the file, which may be another one that this file names
	}
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	reason = strings.TrimPrefix(reason, "unmarshal errors:")
	lines := strings.FieldsFunc(goOnly.ReplaceAllString(reason, ""), func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return fmt.Errorf("%s: %s; %s", file, strings.Join(lines, ", "), like)
}

// get reads the response of a path. For JSON output, it copies the response to out and returns
// done.
func (r *running) get(ctx context.Context, out io.Writer, path string, response any) (done bool, err error) {
	if r.output == "json" {
		return true, r.copy(ctx, out, http.MethodGet, path, nil)
	}
	return false, r.call(ctx, http.MethodGet, path, nil, response)
}

// copy makes a request and copies the JSON of the response to out.
func (r *running) copy(ctx context.Context, out io.Writer, method, path string, body any) error {
	var raw json.RawMessage
	if err := r.call(ctx, method, path, body, &raw); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n", raw)
	return err
}

// call makes a request, with a JSON body unless body is nil. If smspager refuses the request, the
// error is smspager's reason.
func (r *running) call(ctx context.Context, method, path string, body, response any) error {
	if err := r.checkURL(); err != nil {
		return err
	}
	client, err := r.client()
	if err != nil {
		return err
	}
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return r.explained(callJSON(ctx, client, method, strings.TrimSuffix(r.url, "/")+path, text, response))
}

func (r *running) checkURL() error { return checkURL("--url", r.url, defaultURL) }

// checkURL returns an error that says what the URL of a flag must be like.
func checkURL(flag, raw, like string) error {
	if u, err := url.Parse(raw); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s must be a URL such as %s", flag, like)
	}
	return nil
}

// explained adds to the error of a request what the user can do about it.
func (r *running) explained(err error) error {
	var refused *responseError
	var unreached *url.Error
	switch {
	case errors.As(err, &refused) && refused.code == http.StatusUnauthorized && r.httpConfig != "":
		return fmt.Errorf("smspager serve does not accept the login of %s (--http.config.file): is its token the one of api.token_file, is its user in --web.config.file and console.users?", r.httpConfig)
	case errors.As(err, &refused) && refused.code == http.StatusUnauthorized:
		return errors.New("log in: --http.config.file=FILE, where FILE holds authorization: {credentials_file: api.token}, the token of api.token_file, or basic_auth; see docs/console.md")
	case errors.As(err, &refused) && refused.code == http.StatusNotFound && strings.HasPrefix(refused.reason, "no such path"):
		return fmt.Errorf("smspager serve has no API at %s (--url); does the URL lack the path of --web.external-url or --web.route-prefix?", redacted(r.url))
	case errors.As(err, &refused) && refused.reason != "":
		return errors.New(refused.reason)
	case errors.As(err, &refused):
		return fmt.Errorf("%w; is --url the address of smspager serve?", err)
	case errors.As(err, &unreached) && errors.As(err, new(*fs.PathError)): // a file of the login
		return fmt.Errorf("--http.config.file: %w; names in it begin at its folder", unreached.Err)
	case errors.As(err, &unreached) && errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("smspager serve at %s (--url) is not trusted: %w; name its CA in the file of --http.config.file: tls_config: {ca_file: ca.pem}", redacted(r.url), unreached.Err)
	case errors.As(err, &unreached):
		return fmt.Errorf("smspager serve does not respond at %s (--url): %w", redacted(r.url), unreached.Err)
	}
	return err
}

// redacted returns a URL without the password in it.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the URL"
	}
	return u.Redacted()
}

// callJSON makes a request and reads the JSON of the response. A response other than 200 is a
// *responseError, and so is one that is not JSON.
func callJSON(ctx context.Context, client *http.Client, method, url string, body []byte, response any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		var body struct{ Error string }
		_ = json.Unmarshal(text, &body) // only smspager's responses have a reason
		return &responseError{fmt.Sprintf("%s responds %s: %s", redacted(url), resp.Status, bytes.TrimSpace(text)), resp.StatusCode, body.Error}
	}
	if err := json.NewDecoder(resp.Body).Decode(response); err != nil {
		return &responseError{message: fmt.Sprintf("%s does not respond with JSON: %v", redacted(url), err), code: resp.StatusCode}
	}
	return nil
}

// responseError is a response that is not 200, or not smspager's.
type responseError struct {
	message string
	code    int
	reason  string // smspager's reason; "" if something else responded
}

func (e *responseError) Error() string { return e.message }
