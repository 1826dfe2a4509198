package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// Exit codes of send and status. 1 is any other error, 2 a wrong command line.
const (
	exitNotDelivered = 3 // the provider gave a final status other than "received"
	exitOpen         = 4 // no final status is known; the message may be on its way
)

const exitCodes = "1 refused or an error, 3 not delivered, 4 no final status yet."

const defaultConfig = "smspager.yml"

// account holds the flags of all subcommands that send requests to the provider.
type account struct {
	configFile string
	output     string
}

func (a *account) flags(cmd *kingpin.CmdClause) {
	cmd.Flag("config.file", "The configuration file. Its textinghouse section is used.").Short('c').Default(defaultConfig).StringVar(&a.configFile)
	outputFlag(cmd, &a.output)
}

// given returns the flag of this call that a proposed command needs too, with a space before it; "" if there
// is none.
func (a *account) given() string {
	if a.configFile == defaultConfig {
		return ""
	}
	return " -c " + word(a.configFile)
}

func outputFlag(cmd *kingpin.CmdClause, output *string) {
	cmd.Flag("output", "text for people, json for scripts.").Default("text").EnumVar(output, "text", "json")
}

func (a *account) client() (*textinghouse.Client, string, error) {
	cfg, err := receiver.LoadConfig(a.configFile)
	if err != nil {
		return nil, "", err
	}
	client, err := textinghouse.NewClient(cfg.TextingHouse.ClientOptions())
	return client, cfg.TextingHouse.SenderID, err
}

// printAs writes a value as JSON, or as text.
func printAs(output string, w io.Writer, text string, v any) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(v)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// report is the JSON form of the output of send and status.
type report struct {
	ID       string `json:"id,omitempty"`     // ours, climsgid
	APIID    string `json:"api_id,omitempty"` // the provider's
	Segments int    `json:"segments,omitempty"`
	Status   *int   `json:"status,omitempty"`
	Meaning  string `json:"meaning,omitempty"`
	Final    bool   `json:"final"`
}

func (r *report) learn(s textinghouse.Status) {
	code := int(s)
	r.Status, r.Meaning, r.Final = &code, s.String(), s.Final()
}

// sender is the subcommand send.
type sender struct {
	account
	to, text string
	wait     bool
	patience time.Duration
}

func addSend(app *kingpin.Application) (string, func(context.Context, console) error) {
	var s sender
	cmd := app.Command("send", "Send one text directly, without the outbox: to try the account, or for scripts.\n\n"+
		"Example: smspager send -c smspager.yml --to=999 --wait \"test\"\n\nExit codes: 0 delivered (without --wait: accepted), "+exitCodes)
	s.flags(cmd)
	cmd.Flag("to", "An E.164 number, or 999, the provider's free test number.").Required().StringVar(&s.to)
	cmd.Flag("wait", "Wait for the final status.").BoolVar(&s.wait)
	cmd.Flag("wait.timeout", "How long to wait.").Default("10m").DurationVar(&s.patience)
	cmd.Arg("text", "The text. Characters that an SMS cannot hold are transliterated; - reads standard input.").Required().StringVar(&s.text)
	return cmd.FullCommand(), s.run
}

func (s *sender) run(ctx context.Context, c console) error {
	to, err := e164.Parse(s.to)
	if err != nil {
		return fmt.Errorf("--to %w", err)
	}
	text, err := c.words([]string{s.text})
	if err != nil {
		return err
	}
	client, senderID, err := s.client()
	if err != nil {
		return err
	}
	text = gsm7.Transliterate(text, textinghouse.Alphabet)
	r := report{ID: outbox.NewIDs().New(time.Now()), Segments: gsm7.Measure(text).Segments}
	r.APIID, err = client.Send(ctx, textinghouse.SMS{To: string(to), Text: text, ClientID: r.ID, From: senderID})
	if err != nil {
		if textinghouse.MayHaveBeenAccepted(err) {
			return &exitError{exitOpen, fmt.Errorf("%w; it may have been sent; to find out: smspager status%s %s", err, s.given(), r.ID)}
		}
		return advised(err)
	}
	if !s.wait {
		return printAs(s.output, c.out, fmt.Sprintf("accepted: id %s, api_id %s, %s; follow it with: smspager status%s %s", r.ID, r.APIID, segments(r.Segments), s.given(), r.APIID), r)
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for gap := 250 * time.Millisecond; ; gap = min(2*gap, 15*time.Second) {
		status, err := client.Status(ctx, r.APIID)
		if err == nil {
			r.learn(status)
		}
		if r.Final {
			if err := printAs(s.output, c.out, fmt.Sprintf("%s: id %s, api_id %s, %s", r.Meaning, r.ID, r.APIID, segments(r.Segments)), r); err != nil {
				return err
			}
			if !status.Delivered() {
				return &exitError{code: exitNotDelivered}
			}
			return nil
		}
		if sleep(ctx, gap) {
			return &exitError{exitOpen, fmt.Errorf("no final status %s; ask again with: smspager status%s %s", within(ctx, s.patience), s.given(), r.APIID)}
		}
	}
}

// within returns how long a command has waited, for an error: until its patience ended, or until somebody stopped it.
func within(waited context.Context, patience time.Duration) string {
	if errors.Is(waited.Err(), context.Canceled) {
		return "yet"
	}
	return fmt.Sprintf("within %s", patience)
}

// advised adds to an error of the provider what the user can do about it.
func advised(err error) error {
	var refusal *textinghouse.Error
	var transport *textinghouse.TransportError
	advice := ""
	switch {
	case errors.As(err, &refusal) && refusal.Code == textinghouse.CodeAuthentication:
		advice = "check textinghouse.user and its password, and the IP lock in the portal (Options)"
	case errors.As(err, &refusal) && refusal.Code == textinghouse.CodeInsufficientCredit:
		advice = "buy credit in the portal"
	case errors.As(err, &refusal) && refusal.Code == textinghouse.CodeFlood:
		advice = "wait for 10 seconds, or change the text"
	case errors.As(err, &transport):
		advice = "check the network, its proxy, and textinghouse.endpoints"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, advice)
}

func segments(n int) string { return templating.Counted(n, "segment") }

// statusCommand is the subcommand status.
type statusCommand struct {
	account
	id string
}

func addStatus(app *kingpin.Application) (string, func(context.Context, console) error) {
	var s statusCommand
	cmd := app.Command("status", "Ask the provider for the status of a message.\n\n"+
		"Example: smspager status 5d726149a129c829e8c23f7b\n\nExit codes: 0 delivered, "+exitCodes)
	s.flags(cmd)
	cmd.Arg("id", "The provider's id (api_id) or the message's id (climsgid).").Required().StringVar(&s.id)
	return cmd.FullCommand(), s.run
}

func (s *statusCommand) run(ctx context.Context, c console) error {
	client, _, err := s.client()
	if err != nil {
		return err
	}
	r := report{APIID: s.id}
	status, err := client.Status(ctx, s.id)
	var refusal *textinghouse.Error
	if errors.As(err, &refusal) && refusal.Code == textinghouse.CodeUnknownAPIID {
		if status, err = client.StatusByClientID(ctx, s.id); err == nil {
			r.ID, r.APIID = s.id, ""
		}
	}
	if errors.As(err, &refusal) && refusal.Code == textinghouse.CodeUnknownClientID {
		return fmt.Errorf("the provider knows no message with the api_id or climsgid %s", s.id)
	}
	if err != nil {
		return advised(err)
	}
	r.learn(status)
	if err := printAs(s.output, c.out, fmt.Sprintf("%d %s", int(status), r.Meaning), r); err != nil {
		return err
	}
	switch {
	case !status.Final():
		return &exitError{code: exitOpen}
	case !status.Delivered():
		return &exitError{code: exitNotDelivered}
	}
	return nil
}

// creditCommand is the subcommand credit.
type creditCommand struct{ account }

func addCredit(app *kingpin.Application) (string, func(context.Context, console) error) {
	var a creditCommand
	cmd := app.Command("credit", "Read the account's credit.\n\nExample: smspager credit -c smspager.yml")
	a.flags(cmd)
	return cmd.FullCommand(), a.run
}

func (a *creditCommand) run(ctx context.Context, c console) error {
	client, _, err := a.client()
	if err != nil {
		return err
	}
	credit, err := client.Credit(ctx)
	if err != nil {
		return advised(err)
	}
	return printAs(a.output, c.out, strings.TrimSpace(fmt.Sprint(credit)), map[string]any{"credit": credit})
}
