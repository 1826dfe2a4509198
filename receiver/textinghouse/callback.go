package textinghouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Receipt is a status callback (DLR; seed, 4.5). At least one id is set.
type Receipt struct {
	APIID    string // the provider's id
	ClientID string // climsgid; "" if the message was sent without one
	Status   Status // may be one that is not [Status.Known]
}

// Reply is a text from a phone (MO; seed, 4.6). At least one id is set, of the message that it
// responds to.
type Reply struct {
	APIID    string
	ClientID string
	From     string // E.164, with a plus sign
	Text     string
	Date     time.Time // in UTC
}

// dateForms are the forms of a reply's date: the seed has one in its example and another one in
// its text.
var dateForms = []string{time.RFC3339, time.DateTime}

// ParseReceipt reads the body of a status callback. The status may be a string or a number;
// unknown fields are ignored.
func ParseReceipt(body []byte) (Receipt, error) {
	var r Receipt
	fields, err := callbackFields(body)
	if err != nil {
		return r, err
	}
	if r.APIID, r.ClientID, err = callbackIDs(fields); err != nil {
		return r, err
	}
	raw := strings.Trim(string(fields["status"]), `"`)
	n, ok := number(raw)
	if !ok || string(fields["status"]) != raw && string(fields["status"]) != strconv.Quote(raw) {
		return r, errors.New(`callback: "status" must be a status code`)
	}
	r.Status = Status(n)
	return r, nil
}

// ParseReply reads the body of a reply callback.
func ParseReply(body []byte) (Reply, error) {
	var r Reply
	fields, err := callbackFields(body)
	if err != nil {
		return r, err
	}
	if r.APIID, r.ClientID, err = callbackIDs(fields); err != nil {
		return r, err
	}
	from, err := callbackString(fields, "from")
	if err != nil {
		return r, err
	}
	digits := strings.TrimPrefix(from, "+")
	if digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return r, errors.New(`callback: "from" must be a phone number`)
	}
	r.From = "+" + digits
	if r.Text, err = callbackString(fields, "txt"); err != nil {
		return r, err
	}
	date, err := callbackString(fields, "date")
	if err != nil {
		return r, err
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, date); err == nil {
			r.Date = t.UTC()
			return r, nil
		}
	}
	return r, errors.New(`callback: "date" must be like 2019-04-01T13:09:16Z or 2019-04-01 13:09:16`)
}

// callbackFields reads a JSON object. Its keys are case-sensitive.
func callbackFields(body []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("callback: the body must be a JSON object")
	}
	return fields, nil
}

func callbackIDs(fields map[string]json.RawMessage) (apiID, clientID string, err error) {
	if apiID, err = callbackString(fields, "apimsgid"); err != nil {
		return "", "", err
	}
	if clientID, err = callbackString(fields, "climsgid"); err != nil {
		return "", "", err
	}
	if apiID == "" && clientID == "" {
		return "", "", errors.New(`callback: neither "apimsgid" nor "climsgid" is set`)
	}
	return apiID, clientID, nil
}

// callbackString reads a string; a missing one and null are "".
func callbackString(fields map[string]json.RawMessage, name string) (string, error) {
	raw, ok := fields[name]
	if !ok {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("callback: %q must be a string", name)
	}
	if s == nil {
		return "", nil
	}
	return *s, nil
}
