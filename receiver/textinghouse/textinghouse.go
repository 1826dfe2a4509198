// Package textinghouse is a client of TextingHouse's HTTP API "SMS PRO" (documentation 1.1.1 of
// 11/07/2022, called the seed below), and a handler of its callbacks. Of smspager it uses only
// templating/gsm7.
//
// # Requests
//
// A request of a [Client] is a form POST of user, pass and cmd with the command's
// parameters; the password is never part of a URL. The response is one line of plain text:
//
//	sendsms    ID:<api_id>
//	getstatus  a status code (seed, 5.1)
//	getcredit  a number
//	any        ERR: <code> | <description>   (seed, 5.2)
//
// An ERR is returned as an [*Error], any other response as an [*UnreadableResponseError], and a
// missing response as a [*TransportError]. After a failed [Client.Send], [MayHaveBeenAccepted]
// reports whether the provider may have the message.
//
// # Callbacks
//
// Receipts and replies come by callback. [NewHandler] serves both. [ParseReceipt] and
// [ParseReply] read the bodies that the provider POSTs.
//
// # Stability
//
// Until v1, an exported name may change in a minor release; CHANGELOG.md lists each
// change.
package textinghouse

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The commands (seed, 4.2), as in [Exchange].
const (
	CommandSend   = "sendsms"
	CommandStatus = "getstatus"
	CommandCredit = "getcredit"
)

// DefaultEndpoints returns the provider's endpoints in order of preference.
func DefaultEndpoints() []string {
	return []string{"https://api.textinghouse.com/http/v1/do", "https://api2.textinghouse.com/http/v1/do"}
}

// Code is an error code (seed, 5.2).
type Code int

const (
	CodeMissingParameter   Code = 100 // a parameter is missing
	CodeAuthentication     Code = 101 // wrong user, password or address
	CodeInsufficientCredit Code = 104 // no credit left
	CodeUnknownAPIID       Code = 201 // getstatus: no such api_id
	CodeUnknownClientID    Code = 202 // getstatus: no such climsgid
	CodeProcessing         Code = 300 // the provider failed
	CodeFlood              Code = 350 // the same text to the same number within 10 seconds
	CodeStopMissing        Code = 400 // a commercial message without "STOP sms-s.top"
)

// FloodWindow is how long the provider refuses the same text to the same number (seed, error 350).
const FloodWindow = 10 * time.Second

// AccountWide reports whether the code refuses everything that the account sends, not only
// this message.
func (c Code) AccountWide() bool {
	return c == CodeAuthentication || c == CodeInsufficientCredit
}

// Permanent reports whether the provider will always refuse the same request.
func (c Code) Permanent() bool {
	switch c {
	case CodeMissingParameter, CodeUnknownAPIID, CodeUnknownClientID, CodeStopMissing:
		return true
	}
	return false
}

// Retryable reports whether the same request may succeed a little later. A code that the seed
// does not have counts as retryable.
func (c Code) Retryable() bool { return !c.AccountWide() && !c.Permanent() }

// String returns the seed's description.
func (c Code) String() string {
	switch c {
	case CodeMissingParameter:
		return "missing parameter"
	case CodeAuthentication:
		return "authentication failure: invalid username, password or IP address"
	case CodeInsufficientCredit:
		return "insufficient credit"
	case CodeUnknownAPIID:
		return "unknown api_id"
	case CodeUnknownClientID:
		return "unknown climsgid"
	case CodeProcessing:
		return "error processing request"
	case CodeFlood:
		return "flood detected: the same text went to this number less than 10 seconds ago"
	case CodeStopMissing:
		return "STOP mention missing in a commercial message"
	}
	return "unknown error code " + strconv.Itoa(int(c))
}

// Status is a message's status (seed, 5.1).
type Status int

const (
	StatusProcessing         Status = 0
	StatusSent               Status = 1 // awaiting the final status
	StatusReceived           Status = 3
	StatusExpired            Status = 4 // or out of reach
	StatusNotSubscribed      Status = 5
	StatusNotReceived        Status = 6
	StatusProhibited         Status = 7
	StatusInsufficientCredit Status = 20
)

// Known reports whether the seed has the status.
func (s Status) Known() bool {
	switch s {
	case StatusProcessing, StatusSent, StatusReceived, StatusExpired, StatusNotSubscribed, StatusNotReceived, StatusProhibited, StatusInsufficientCredit:
		return true
	}
	return false
}

// Final reports whether the status never changes. A status that is not [Status.Known] is not
// final, because a known one may follow.
func (s Status) Final() bool { return s.Known() && s != StatusProcessing && s != StatusSent }

// Delivered reports whether the phone has the message.
func (s Status) Delivered() bool { return s == StatusReceived }

// String returns the seed's description.
func (s Status) String() string {
	switch s {
	case StatusProcessing:
		return "processing in progress"
	case StatusSent:
		return "sent, awaiting the final status"
	case StatusReceived:
		return "received"
	case StatusExpired:
		return "expired or out of reach"
	case StatusNotSubscribed:
		return "not subscribed"
	case StatusNotReceived:
		return "not received"
	case StatusProhibited:
		return "prohibited sending"
	case StatusInsufficientCredit:
		return "insufficient credit"
	}
	return "unknown status " + strconv.Itoa(int(s))
}

// Credit is an account's balance, in the provider's unit.
type Credit float64

// Exchange is one HTTP request and its outcome.
type Exchange struct {
	Command  string // "sendsms", "getstatus" or "getcredit"
	Endpoint string // the endpoint's host
	Outcome  string // "ok", an error code, "http_503", "unreadable", "timeout" or "transport"
	Duration time.Duration
	Err      error // nil: the provider responded, and not with an ERR
}

// Error is an ERR response: the provider understood the request and refused it.
type Error struct {
	Command     string
	Code        Code
	Description string // as the provider put it, at most 80 printable characters
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: error %d: %s", e.Command, int(e.Code), e.Code)
}

// UnreadableResponseError is a response that is not in the provider's form, such as an error
// page of a proxy.
type UnreadableResponseError struct {
	Command    string
	StatusCode int    // of HTTP
	Excerpt    string // at most 80 printable characters
}

func (e *UnreadableResponseError) Error() string {
	return fmt.Sprintf("%s: unreadable response (HTTP %d): %q", e.Command, e.StatusCode, e.Excerpt)
}

// TransportError is a request without a response.
type TransportError struct {
	Command  string
	Endpoint string // its host
	Written  bool   // there was a connection, so the request may have arrived
	Err      error
}

func (e *TransportError) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Command, e.Endpoint, e.Err)
}

func (e *TransportError) Unwrap() error { return e.Err }

// AccountWorks reports whether a request with this outcome shows that the provider serves the
// account: any readable response does that does not refuse the whole account.
func AccountWorks(err error) bool {
	var refusal *Error
	return err == nil || errors.As(err, &refusal) && !refusal.Code.AccountWide()
}

// unreached holds the errors of all endpoints, none of which received the request.
type unreached []error

func (u unreached) Error() string {
	var all []string
	for _, err := range u {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

func (u unreached) Unwrap() []error { return u }

// MayHaveBeenAccepted reports whether the provider may have accepted a message although
// [Client.Send] returned err. The message must then not be sent again before
// [Client.StatusByClientID] reports that the provider does not know it. The provider has
// certainly not accepted it if it responded with an ERR, if there was no connection, or if Send
// refused the message.
func MayHaveBeenAccepted(err error) bool {
	var transport *TransportError
	if errors.As(err, &transport) {
		return transport.Written
	}
	var unreadable *UnreadableResponseError
	return errors.As(err, &unreadable)
}
