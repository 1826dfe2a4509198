package link_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/internal/link"
)

const number = "+33639980001"

func TestLinks(t *testing.T) {
	l := link.New("https://sms.example.com", "secret")
	for _, code := range []string{"6279", "0000", "0042", "99999", "00001"} {
		text := "CRITICAL Disk full\nRe " + code + " " + l.Of(code)
		sent := l.Fill(text, "PAGE", number)
		at := strings.Index(sent, "https://sms.example.com/p/")
		token := sent[at+len("https://sms.example.com/p/"):]
		if len(sent) != len(text) || !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{16}$`).MatchString(token) {
			t.Errorf("%s becomes %s", text, sent)
		}
		if got, ok := link.Code(token); !ok || got != code {
			t.Errorf("the token of %s has code %s, %v", code, got, ok)
		}
		if !l.Opens(token, code, "PAGE", number) || l.Opens(token, code, "OTHER", number) || l.Opens(token, code, "PAGE", "+33639980002") ||
			link.New("https://sms.example.com", "other").Opens(token, code, "PAGE", number) {
			t.Errorf("the token of %s opens something else, or not its page", code)
		}
	}
	if none := link.New("", "secret"); none.Of("6279") != "" || none.Fill("x ************", "PAGE", number) != "x ************" {
		t.Error("links without a URL")
	}
	if text := "value ************ https://sms.example.com/p/x"; l.Fill(text, "PAGE", number) != text {
		t.Error("stars that are no link's are filled")
	}
}

func TestMalformedTokens(t *testing.T) {
	for _, token := range []string{"", "0", "000000000000000", "00000000000000000", "o000000000000000", "0000000000000000", "A1b2c3d4e5f6g7h8", "./../../../../..", "****************"} {
		if code, ok := link.Code(token); ok {
			t.Errorf("%q has code %s", token, code)
		}
	}
}
