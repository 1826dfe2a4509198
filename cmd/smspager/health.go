package main

import (
	"context"
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
		"Example: smspager health --url=http://127.0.0.1:9879")
	h.urlFlags(cmd, defaultURL)
	return cmd.FullCommand(), h.run
}

func (h *health) run(ctx context.Context, c console) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := h.checkURL(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return err
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
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return h.explained(err)
	}
	if _, err := c.out.Write(body); err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusOK && strings.HasPrefix(string(body), "smspager is "):
		return nil
	case resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%s responds %s", req.URL.Redacted(), resp.Status)
	}
	return fmt.Errorf("%s responds %s, but not as smspager does; is --url the address of smspager serve?", req.URL.Redacted(), resp.Status)
}
