// Package link makes the links at the end of texts, and reads them. Each page has a link for each
// person. Its token contains a proof, which is computed from the page, the person and a secret of the
// configuration. The proof is never stored: until a text is sent, stars replace it.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"regexp"
	"strconv"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
)

// alphabet is Crockford's base32 in lower case: no letter looks like a digit, and each character is
// one septet of the provider's alphabet.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// A token consists of the page's code and a proof, in characters of 5 bits.
const (
	codeLength  = 4
	proofLength = 12
	// Length is the length of a token.
	Length = codeLength + proofLength
)

// Path begins the path of a link.
const Path = "/p/"

// stars replace the proof in a text that has not been sent yet.
const stars = "************"

var unsent = regexp.MustCompile(`(` + Path + `[` + alphabet + `]{4})\*{12}`)

// Links makes and reads links. The zero value makes none.
type Links struct {
	url string
	key []byte
}

// New returns Links below a URL, such as https://sms.example.com; "": it makes none. Links that were made
// with another secret no longer open anything.
func New(url, secret string) Links {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("smspager phone page"))
	return Links{url: url, key: mac.Sum(nil)}
}

// Of returns the link for a page's code, with stars instead of the proof.
func (l Links) Of(code string) string {
	if l.url == "" {
		return ""
	}
	return l.url + Path + encode(code) + stars
}

// Dead returns a link below a URL that has the usual length and opens nothing.
func Dead(url string) string { return url + Path + strings.Repeat("0", Length) }

// Fill returns a text to be sent to a number, with the proof in its link.
func (l Links) Fill(text, pageID string, to e164.Number) string {
	if l.url == "" || pageID == "" || !strings.Contains(text, stars) {
		return text
	}
	return unsent.ReplaceAllString(text, "${1}"+l.proof(pageID, to))
}

// Token returns the token of a page and a number.
func (l Links) Token(code, pageID string, to e164.Number) string {
	return encode(code) + l.proof(pageID, to)
}

// Code returns the code of the page that a token is for, or false if it cannot be a token.
func Code(token string) (code string, ok bool) {
	if len(token) != Length || strings.Trim(token, alphabet) != "" {
		return "", false
	}
	n := 0
	for _, c := range token[:codeLength] {
		n = n<<5 | strings.IndexRune(alphabet, c)
	}
	digits := strconv.Itoa(n)
	return digits[1:], digits[0] == '1' && len(digits) > 1
}

// Opens reports whether a token belongs to a page and a number.
func (l Links) Opens(token, code, pageID string, to e164.Number) bool {
	return l.url != "" && hmac.Equal([]byte(token), []byte(l.Token(code, pageID, to)))
}

// encode encodes a code, which may begin with zeros.
func encode(code string) string {
	n, _ := strconv.Atoi("1" + code)
	var b [codeLength]byte
	for i := range b {
		b[codeLength-1-i] = alphabet[n>>(5*i)&31]
	}
	return string(b[:])
}

func (l Links) proof(pageID string, to e164.Number) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(pageID + " " + string(to)))
	sum := mac.Sum(nil)
	var b [proofLength]byte
	for i := range b {
		b[i] = alphabet[sum[i]&31]
	}
	return string(b[:])
}
