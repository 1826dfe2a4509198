package textinghouse

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxResponseBytes = 4 << 10
	maxExcerptRunes  = 80
	maxAPIIDBytes    = 64
)

// parse returns the value of a response, or its error, without what redact hides. An ERR counts under any
// HTTP status, a value only under 200.
func parse[T any](command string, statusCode int, body string, redact *strings.Replacer, value func(string) (T, bool)) (T, error) {
	line := strings.TrimSpace(strings.TrimPrefix(body, "\ufeff")) // without a byte order mark
	var none T
	if refusal, ok := parseError(line); ok {
		refusal.Command, refusal.Description = command, excerpt(redact.Replace(refusal.Description))
		return none, refusal
	}
	if statusCode == http.StatusOK {
		if v, ok := value(line); ok {
			return v, nil
		}
	}
	return none, &UnreadableResponseError{Command: command, StatusCode: statusCode, Excerpt: excerpt(redact.Replace(body))}
}

// redacting returns a Replacer that hides a password in a response: as it is, and encoded as in a form, a URL or HTML,
// because an error page may quote the request.
func redacting(password string) *strings.Replacer {
	var shown []string
	for _, form := range []string{password, url.QueryEscape(password), url.PathEscape(password), html.EscapeString(password)} {
		shown = append(shown, form, "****")
	}
	return strings.NewReplacer(shown...)
}

// errorLine matches "ERR: code | description" leniently: the code must only be a separate word.
var errorLine = regexp.MustCompile(`(?is)^ERR\s*:?\s*([0-9]{1,6})(?:\s*$|\s*[|:;-](.*)$|\s+(.*)$)`)

// parseError reads an ERR.
func parseError(line string) (*Error, bool) {
	found := errorLine.FindStringSubmatch(line)
	if found == nil {
		return nil, false
	}
	n, _ := number(found[1])
	return &Error{Code: Code(n), Description: found[2] + found[3]}, true
}

// parseID reads "ID:<api_id>".
func parseID(line string) (string, bool) {
	id, ok := strings.CutPrefix(line, "ID:")
	id = strings.TrimSpace(id)
	return id, ok && validAPIID(id)
}

func validAPIID(id string) bool {
	printable := func(r rune) bool { return r > ' ' && r < 0x7f }
	return id != "" && len(id) <= maxAPIIDBytes && strings.IndexFunc(id, func(r rune) bool { return !printable(r) }) < 0
}

// parseStatus reads a status code.
func parseStatus(line string) (Status, bool) {
	n, ok := number(line)
	return Status(n), ok
}

// parseCredit reads a number, which may be negative.
func parseCredit(line string) (Credit, bool) {
	if strings.Trim(line, "0123456789.-") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(line, 64)
	return Credit(f), err == nil
}

// number reads a code of at most six digits.
func number(s string) (int, bool) {
	if s == "" || len(s) > 6 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// excerpt returns the beginning of a response, fit for a log line.
func excerpt(s string) string {
	var out []rune
	for _, r := range strings.TrimSpace(s) {
		if len(out) == maxExcerptRunes {
			break
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
