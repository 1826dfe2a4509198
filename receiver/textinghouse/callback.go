package textinghouse

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Receipt is a status callback (DLR; seed, 4.5). At least one id is set.
type Receipt struct {
	APIID    string // the provider's id
	ClientID string // climsgid; "" if the message was sent without
	Status   Status // may fail [Status.Known]
}

// Reply is a text from a phone (MO; seed, 4.6). Its IDs are those of the message that it responds to;
// they may be missing.
type Reply struct {
	APIID    string
	ClientID string
	From     string // E.164 with a plus sign; as received if it cannot be read as a number
	Text     string
	Date     time.Time // in UTC; zero if missing or unreadable
}

// dateForms holds the forms of a reply's date: the seed has one in its example and another one in its
// text; other gateways write the others. A date without a zone is in UTC.
var dateForms = []string{
	time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 MST", time.RFC1123, time.RFC1123Z,
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006/01/02 15:04:05", "20060102150405", "20060102T150405Z",
}

// fields holds the fields of a callback as received. Their names are case-sensitive.
type fields struct {
	APIID    jsontext.Value `json:"apimsgid"`
	ClientID jsontext.Value `json:"climsgid"`
	Status   jsontext.Value `json:"status"`
	From     jsontext.Value `json:"from"`
	Text     jsontext.Value `json:"txt"`
	Date     jsontext.Value `json:"date"`
}

// ParseReceipt reads the body of a status callback. The status may be a string or a number;
// unknown fields are ignored.
func ParseReceipt(body []byte) (Receipt, error) {
	f, err := parseFields(body)
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{APIID: text(f.APIID), ClientID: text(f.ClientID)}
	if r.APIID == "" && r.ClientID == "" {
		return r, errors.New(`callback: neither "apimsgid" nor "climsgid" is set`)
	}
	raw := strings.Trim(string(f.Status), `"`)
	n, ok := number(raw)
	if !ok || string(f.Status) != raw && string(f.Status) != strconv.Quote(raw) {
		return r, errors.New(`callback: "status" must be a status code`)
	}
	r.Status = Status(n)
	return r, nil
}

// ParseReply reads the body of a reply callback. It fails only if the body is not a JSON object: a
// person's text must not be lost because a field is missing or has another type.
func ParseReply(body []byte) (Reply, error) {
	f, err := parseFields(body)
	if err != nil {
		return Reply{}, err
	}
	return Reply{
		APIID: text(f.APIID), ClientID: text(f.ClientID),
		From: phoneNumber(text(f.From)), Text: text(f.Text), Date: date(text(f.Date)),
	}, nil
}

// phoneNumber returns a number as a plus sign and digits. A number in national form, or text that is not
// a number, is returned as received.
func phoneNumber(from string) string {
	from = strings.TrimSpace(from)
	digits := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), strings.ContainsRune(".-()/+", r):
			return -1
		}
		return r
	}, strings.TrimPrefix(from, "tel:"))
	international := strings.TrimLeft(digits, "0")
	if zeros := len(digits) - len(international); zeros != 0 && zeros != 2 || international == "" || len(international) > 15 || strings.Trim(digits, "0123456789") != "" {
		return from
	}
	return "+" + international
}

// date reads a date in any of its forms, or in seconds or milliseconds since 1970.
func date(text string) time.Time {
	text = strings.TrimSpace(text)
	for _, form := range dateForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC()
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0 || n > 1e14:
		return time.Time{}
	case n > 1e11:
		return time.UnixMilli(n).UTC()
	}
	return time.Unix(n, 0).UTC()
}

// parseFields reads a JSON object.
func parseFields(body []byte) (f fields, err error) {
	lenient := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err = json.Unmarshal(body, &f, lenient); err != nil { // a gateway may not escape line ends, or begin with a byte order mark
		body = bytes.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, bytes.TrimPrefix(body, []byte("\ufeff")))
		f = fields{}
		err = json.Unmarshal(body, &f, lenient)
	}
	if err != nil || jsontext.Value(bytes.TrimSpace(body)).Kind() != '{' {
		return fields{}, errors.New("callback: the body must be a JSON object")
	}
	return f, nil
}

// text reads a string; a missing one and null are "", and a number is its digits.
func text(v jsontext.Value) string {
	switch v.Kind() {
	case 'n':
		return ""
	case '"':
		unquoted, _ := jsontext.AppendUnquote(nil, v) // what is invalid becomes U+FFFD
		return string(unquoted)
	}
	return string(v)
}
