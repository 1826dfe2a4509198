package command

import (
	"encoding/hex"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
)

// decode removes the encodings of gateways from a text: UCS-2 as hexadecimal digits, HTML entities, and
// the URL encoding of a form.
func decode(text string) string {
	text = strings.TrimSpace(text)
	if plain, ok := fromHex(text); ok {
		text = plain
	}
	const most = 2 // "&amp;quot;"
	for range most {
		text = html.UnescapeString(text)
	}
	if !strings.ContainsFunc(text, unicode.IsSpace) && strings.ContainsAny(strings.TrimPrefix(text, "+"), "+%") {
		if plain, err := url.QueryUnescape(strings.TrimPrefix(text, "+")); err == nil {
			text = text[:len(text)-len(strings.TrimPrefix(text, "+"))] + plain
		}
	}
	return text
}

// fromHex decodes UCS-2 that a gateway has written as hexadecimal digits, four per unit. It returns
// false if the text is something else.
func fromHex(text string) (string, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) == 0 || len(raw)%2 != 0 || len(raw) < 4 && digits(text) {
		return "", false
	}
	var units []uint16
	for i := 0; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	plain := strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
	unreadable := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) && !unicode.IsSpace(r) }
	return plain, !strings.ContainsFunc(plain, unreadable)
}

var (
	// endOfBody matches a line that begins a signature or the quoted text of an earlier message.
	endOfBody = regexp.MustCompile(`(?i)^\s*(--+\s*$|_{3,}|-{3,}.*-{3,}|(sent|get|written) (from|by|with|via|outlook) |(envoy|enviad|inviat|gesendet|verzonden|verstuurd|von mein).*(iphone|ipad|android|samsung|galaxy|mobil|handy|phone|telefo)|(on|le|am|el|il|op|em) .*(wrote|crit|schrieb|escribi.|ha scritto|schreef|escreveu).*:\s*$)`)
	// quotation matches a passage in quotation marks, of which the closing one may be cut off.
	quotation = regexp.MustCompile("(?s)[“„«‟「『\"]([^“”„«»「」『』\"]*)(?:[”“»」』\"]|$)|‘([^‘’]*\\s[^‘’]*\\s[^‘’]*)’")
)

// body returns the lines of a text that its sender wrote.
func body(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), ">") {
			continue
		}
		if len(lines) > 0 && endOfBody.MatchString(strings.TrimRight(line, "\r\n")) {
			break
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, ""))
}

// unquote returns a text without long quotations, which repeat an earlier text, and whether there were
// any. It keeps the words of short ones, and of a text that consists of a quotation only.
func unquote(text string) (outside string, quotes bool) {
	const short = 10 // fewer characters may be quoted for other reasons: "ok"
	outside = quotation.ReplaceAllStringFunc(text, func(passage string) string {
		words := strings.TrimSpace(strings.Trim(passage, "“”„«»‟「」『』\"‘’"))
		if len([]rune(words)) < short {
			return " " + words + " "
		}
		quotes = true
		return " "
	})
	if quotes && len(split(outside)) == 0 {
		return strings.Trim(text, "“”„«»‟「」『』\"‘’ "), false
	}
	return outside, quotes
}
