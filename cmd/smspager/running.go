package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

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
		flags += " --url=" + redacted(r.url)
	}
	if r.httpConfig != "" && os.Getenv("SMSPAGER_HTTP_CONFIG_FILE") == "" {
		flags += " --http.config.file=" + r.httpConfig
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
		return nil, fmt.Errorf("--http.config.file: %w", err)
	}
	return client, nil
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
	if u, err := url.Parse(r.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--url must be a URL such as " + defaultURL)
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

// explained adds to the error of a request what the user can do about it.
func (r *running) explained(err error) error {
	var refused *responseError
	var unreached *url.Error
	switch {
	case errors.As(err, &refused) && refused.code == http.StatusUnauthorized && r.httpConfig != "":
		return fmt.Errorf("smspager serve does not accept the login of %s (--http.config.file): is its token the one of api.token_file, is its user in --web.config.file and console.users?", r.httpConfig)
	case errors.As(err, &refused) && refused.code == http.StatusUnauthorized:
		return errors.New("log in: --http.config.file=FILE, where FILE holds authorization: {credentials_file: api.token}, the token of api.token_file, or basic_auth; see docs/console.md")
	case errors.As(err, &refused) && refused.reason != "":
		return errors.New(refused.reason)
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
// *responseError.
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
	return json.NewDecoder(resp.Body).Decode(response)
}

// responseError is a response other than 200.
type responseError struct {
	message string
	code    int
	reason  string // smspager's reason; "" if something else responded
}

func (e *responseError) Error() string { return e.message }
