package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// simulate is the subcommand simulate.
type simulate struct {
	listen, user, password, receiptURL, replyURL string
	credit                                       float64
	senders, faults, outcomes                    []string
	delay                                        time.Duration
}

func addSimulate(app *kingpin.Application) (string, func(context.Context, console) error) {
	var s simulate
	cmd := app.Command("simulate", "Run TextingHouse's API on your own machine, to try smspager or any other program. No text leaves the machine.\n\n"+
		"Example: smspager simulate --listen=127.0.0.1:9880 --user=acme --password=test --receipts=http://127.0.0.1:9879/textinghouse/TOKEN/dlr --fault=status=503,times=3\n\n"+
		"Faults: latency=200ms, hang, hang-after, status=503, status-after=503, drop-before, drop-after, garbage, err=300, bare-err=300, lag=5s, other-status=42, callback-lost, callback-repeat=3, callback-delay=5s, callback-reorder, callback-status=42; "+
		"each may be followed by ,times=N ,p=0.1 ,cmd=sendsms.\n\n"+
		"A line on standard input is a phone's reply to its latest text: \"+33612345678 ok\". It requires --replies.")
	cmd.Flag("listen", "Address to listen on.").Default("127.0.0.1:9880").StringVar(&s.listen)
	cmd.Flag("user", "The account's user.").Default("acme").StringVar(&s.user)
	cmd.Flag("password", "The account's password. It protects nothing.").Default("test").StringVar(&s.password)
	cmd.Flag("credit", "The account's credit, in segments.").Default("1000").Float64Var(&s.credit)
	cmd.Flag("sender", "An allowed sender ID; may be repeated.").StringsVar(&s.senders)
	cmd.Flag("receipts", "URL for the callbacks of receipts.").StringVar(&s.receiptURL)
	cmd.Flag("replies", "URL for the callbacks of replies.").StringVar(&s.replyURL)
	cmd.Flag("delay", "Time between the steps of a status.").Default("500ms").DurationVar(&s.delay)
	cmd.Flag("outcome", "The final status of texts to a number, such as +33612345678=6 (not received); may be repeated. Other numbers end with 3 (received).").StringsVar(&s.outcomes)
	cmd.Flag("fault", "A fault; may be repeated.").StringsVar(&s.faults)
	return cmd.FullCommand(), s.run
}

func (s *simulate) run(ctx context.Context, c console) error {
	var faults []textinghousetest.Fault
	for _, text := range s.faults {
		f, err := textinghousetest.ParseFault(text)
		if err != nil {
			return fmt.Errorf("--%w", err)
		}
		faults = append(faults, f)
	}
	for flag, raw := range map[string]string{"--receipts": s.receiptURL, "--replies": s.replyURL} {
		if raw == "" {
			continue
		}
		if err := checkURL(flag, raw, defaultURL+"/textinghouse/TOKEN/dlr"); err != nil {
			return err
		}
	}
	logger := promslog.New(&promslog.Config{Writer: c.err})
	sim := textinghousetest.New(textinghousetest.Options{
		Accounts: []textinghousetest.Account{{
			User: s.user, Password: s.password, Credit: s.credit, Senders: s.senders, ReceiptURL: s.receiptURL, ReplyURL: s.replyURL,
		}},
		StatusDelay: s.delay, Logger: logger,
	})
	defer sim.Close()
	for _, f := range faults {
		sim.AddFault(f)
	}
	for _, text := range s.outcomes {
		number, status, err := parseOutcome(text)
		if err != nil {
			return err
		}
		sim.Outcome(number, status)
	}
	listener, err := openPort(s.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	fmt.Fprintf(c.out, "endpoint: http://%s%s\n", listener.Addr(), textinghousetest.Path)
	mux := http.NewServeMux()
	mux.Handle(textinghousetest.Path, sim)
	server := newServer(mux, logger)
	go show(ctx, c, sim, logger)
	go s.reply(c, sim)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func parseOutcome(text string) (number string, status textinghouse.Status, err error) {
	number, code, _ := strings.Cut(text, "=")
	n, err := strconv.Atoi(code)
	to, numberErr := e164.Parse(number)
	if status = textinghouse.Status(n); numberErr != nil || err != nil || !status.Final() {
		return "", 0, fmt.Errorf("--outcome must be a number and a final status, such as +33612345678=6, is %q", text)
	}
	return string(to), status, nil
}

// reply lets phones reply: each line is a number and the text of its reply.
func (s *simulate) reply(c console, sim *textinghousetest.Simulator) {
	lines := bufio.NewScanner(c.in)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if s.replyURL == "" {
			fmt.Fprintln(c.err, "smspager: no URL for replies; set --replies")
			continue
		}
		number, text, _ := strings.Cut(line, " ")
		if err := sim.Reply(number, strings.TrimSpace(text)); err != nil {
			fmt.Fprintf(c.err, "smspager: %v; write a number and its reply, such as: +33612345678 ok\n", err)
		}
	}
}

// show prints each SMS that the simulator accepts.
func show(ctx context.Context, c console, sim *textinghousetest.Simulator, logger *slog.Logger) {
	every := sim.Phone("")
	for {
		sms, err := every.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				logger.Debug("no more messages", "err", err)
			}
			return
		}
		fmt.Fprintf(c.out, "\nto %s, id %s, climsgid %s\n", sms.To, sms.APIID, sms.ClientID)
		drawSMS(c.out, sms.Text)
	}
}
