package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// health is the subcommand health, a check for container images without a shell.
type health struct{ running }

func addHealth(app *kingpin.Application) (string, func(context.Context, console) error) {
	var h health
	cmd := app.Command("health", "Ask a running smspager whether it is ready. The exit code is 0 if it is. For health checks of containers.\n\n"+
		"Example: smspager health --url=http://127.0.0.1:9879/-/ready")
	h.urlFlags(cmd, defaultURL+"/-/ready")
	return cmd.FullCommand(), h.run
}

func (h *health) run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return errors.New("--url must be a URL such as " + defaultURL + "/-/ready")
	}
	if !strings.Contains(req.URL.Path, "/-/") { // the URL of the other subcommands, perhaps with a route prefix
		req.URL.Path = strings.TrimSuffix(req.URL.Path, "/") + "/-/ready"
	}
	client, err := h.client()
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h.explained(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(c.out, io.LimitReader(resp.Body, 4096)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responds %s", req.URL.Redacted(), resp.Status)
	}
	return nil
}
