package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// demoPhone is a number that France reserves for fiction.
const demoPhone = "+33639981234"

// demoTimeout bounds every wait of the demo.
const demoTimeout = 20 * time.Second

// demo is the subcommand demo.
type demo struct{ onCall, console bool }

func addDemo(app *kingpin.Application) (string, func(context.Context, console) error) {
	var d demo
	cmd := app.Command("demo", "Run the whole chain on this machine, without an account: a simulator of the provider, the receiver, two notifications captured from a real Alertmanager, "+
		"the SMS as the phone shows them, and their receipts.\n\nExample: smspager demo")
	cmd.Flag("on-call", "Play a night on call instead: a page, an escalation, an acknowledgement by reply, the end of the alert, and a heartbeat that stops and comes back. A minute takes about a second.").BoolVar(&d.onCall)
	cmd.Flag("console", "Play the night, and leave it running with open pages and the console, until interrupted.").BoolVar(&d.console)
	return cmd.FullCommand(), d.run
}

func (d *demo) run(ctx context.Context, c console) error {
	if d.console {
		return d.stage(ctx, c, consoleConfig, (*stage).console)
	}
	if d.onCall {
		return d.stage(ctx, c, onCallConfig, (*stage).night)
	}
	return d.stage(ctx, c, fmt.Sprintf("receivers:\n  - {name: sms, to: [%q]}\n", demoPhone), (*stage).chain)
}

// stage is the whole chain on this machine, for a demo to play on.
type stage struct {
	out  io.Writer
	sim  *textinghousetest.Server
	base string // smspager's URL

	alice, bob *actor // the people in night
}

// stage sets up the chain and plays a demo.
func (d *demo) stage(ctx context.Context, c console, receivers string, play func(*stage, context.Context) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "smspager-demo-")
	if err != nil {
		return fmt.Errorf("create a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)

	sim := textinghousetest.NewServer(textinghousetest.Options{StatusDelay: 150 * time.Millisecond})
	defer sim.Close()
	fmt.Fprintf(c.out, "1. A simulator of TextingHouse's API listens on %s\n", sim.URL)

	token := rand.Text()
	cfg, err := config.Parse(filepath.Join(dir, "smspager.yml"), fmt.Appendf(nil, "textinghouse: {user: %s, password: %q, endpoints: [%q], callback_token: %s}\n%s",
		sim.ClientOptions().User, sim.ClientOptions().Password, sim.URL, token, receivers))
	if err != nil {
		return err
	}
	level := "warn"
	if d.onCall || d.console {
		level = "none" // a missing heartbeat is logged as an error, which is intended here
	}
	logger := quietLogger(c.err, level)
	r, err := receiver.New(cfg, receiver.Options{Logger: logger})
	if err != nil {
		return err
	}
	running := make(chan error, 1)
	go func() { running <- r.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-running)
	}()
	listener, err := d.listen()
	if err != nil {
		return fmt.Errorf("listen on a local port: %w", err)
	}
	handler := r.Handler()
	if d.console {
		handler = asBob(handler)
	}
	server := newServer(handler, logger)
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	base := "http://" + listener.Addr().String()
	sim.Update(cfg.TextingHouse.User, func(a *textinghousetest.Account) {
		a.ReceiptURL, a.AllReceipts = base+"/textinghouse/"+token+"/dlr", true
		a.ReplyURL = base + "/textinghouse/" + token + "/mo"
	})
	fmt.Fprintf(c.out, "2. smspager takes webhooks at %s/alertmanager and keeps messages in SQLite\n", base)
	return play(&stage{out: c.out, sim: sim, base: base}, ctx)
}

// listen returns a listener on this machine only. The console gets the usual port if that is free.
func (d *demo) listen() (net.Listener, error) {
	if d.console {
		if l, err := net.Listen("tcp", "127.0.0.1:9879"); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// chain plays one page, from Alertmanager to the receipt.
func (s *stage) chain(ctx context.Context) error {
	phone := s.sim.Phone(demoPhone)
	for i, step := range []struct {
		what    string
		payload []byte
	}{
		{"Alertmanager posts a firing group", firingPayload},
		{"Alertmanager posts that the group is resolved", resolvedPayload},
	} {
		fmt.Fprintf(s.out, "\n%d. %s (captured from Alertmanager 0.34.2, its times moved to today)\n", i+3, step.what)
		if err := s.page(ctx, recent(step.payload), phone); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "\nThat is the whole chain. Next: write smspager.yml with your account and number (README.md has the smallest one), then send a free test message:\n"+
		"  smspager send -c smspager.yml --to=999 --wait \"test\"\n"+
		"A night on call: smspager demo --on-call\n"+
		"The same with the console: smspager demo --console")
	return nil
}

// recent moves the times in a captured payload, so that its alert began seven minutes ago.
func recent(payload []byte) []byte {
	now := time.Now().UTC()
	for captured, at := range map[string]time.Time{
		"2026-11-23T19:24:46.962Z": now.Add(-7 * time.Minute), // startsAt
		"2026-11-23T19:31:46.946Z": now,                       // endsAt of the resolved alert
	} {
		payload = bytes.ReplaceAll(payload, []byte(captured), at.AppendFormat(nil, time.RFC3339))
	}
	return payload
}

// quietLogger returns a logger for a level and above. Level none logs nothing.
func quietLogger(w io.Writer, level string) *slog.Logger {
	if level == "none" {
		return slog.New(slog.DiscardHandler)
	}
	l := promslog.NewLevel()
	_ = l.Set(level) // promslog knows the level
	return promslog.New(&promslog.Config{Writer: w, Level: l})
}

// page posts a notification and follows its message until it is delivered.
func (s *stage) page(ctx context.Context, payload []byte, phone *textinghousetest.Phone) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	start := time.Now()
	var accepted receiver.Result
	if err := callJSON(ctx, http.DefaultClient, http.MethodPost, s.base+"/alertmanager", payload, &accepted); err != nil {
		return fmt.Errorf("post the webhook: %w", err)
	}
	fmt.Fprintf(s.out, "   200 after %s: %s, message %s is on disk\n", time.Since(start).Round(100*time.Microsecond), accepted.Status, accepted.Messages[0])
	sms, err := phone.Next(ctx)
	if err != nil {
		return fmt.Errorf("no text arrived at the phone: %w", err)
	}
	fmt.Fprintf(s.out, "   the phone of +%s shows:\n", sms.To)
	drawSMS(s.out, sms.Text)
	for {
		var m messageJSON
		if err := callJSON(ctx, http.DefaultClient, http.MethodGet, s.base+"/api/v1/messages/"+accepted.Messages[0], nil, &m); err != nil {
			return fmt.Errorf("read the message: %w", err)
		}
		if outbox.State(m.State).Final() {
			for _, e := range m.Events {
				fmt.Fprintf(s.out, "   +%-6s %-9s %s\n", e.At.Sub(m.CreatedAt).Round(time.Millisecond), e.Type, e.Detail)
			}
			if m.State != string(outbox.Delivered) {
				return fmt.Errorf("the message ended as %s instead of delivered", m.State)
			}
			return nil
		}
		if sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("the message is still %s after %s", m.State, demoTimeout)
		}
	}
}
