// Package link makes the links that texts end with, and reads them. There is one for each page and
// person. The person's part of its token is not stored anywhere: a text has stars in its place until it
// is sent, and the token is computed from the page, the person and a secret of the configuration.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"regexp"
	"strconv"
	"strings"

	"github.com/smspager/smspager/receiver/e164"
)

// alphabet is Crockford's base32, in lower case: no letter looks like a digit, and each is one septet
// of the provider's alphabet.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// A token has the code of the page and a proof, in characters of 5 bits.
const (
	codeLength  = 4
	proofLength = 12
	// Length is that of a token.
	Length = codeLength + proofLength
)

// Path begins the path of a link.
const Path = "/p/"

// stars stand for the proof in a text that is not sent yet.
const stars = "************"

var unsent = regexp.MustCompile(`(` + Path + `[` + alphabet + `]{4})\*{12}`)

// Links makes and reads links. The zero value has none.
type Links struct {
	url string
	key []byte
}

// New returns the Links below a URL, such as https://sms.example.com; "": none. Links that were made with
// another secret are dead.
func New(url, secret string) Links {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("smspager phone page"))
	return Links{url: url, key: mac.Sum(nil)}
}

// Of returns the link of a page with a code, without the proof.
func (l Links) Of(code string) string {
	if l.url == "" {
		return ""
	}
	return l.url + Path + encode(code) + stars
}

// Dead returns a link below a URL that is as long as the others and opens nothing.
func Dead(url string) string { return url + Path + strings.Repeat("0", Length) }

// Fill returns a text about a page for a number as it is sent, with the proof in its link.
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

// Code returns the code of the page that a token is for, false if it can be none.
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

// Opens reports whether a token is that of a page and a number.
func (l Links) Opens(token, code, pageID string, to e164.Number) bool {
	return l.url != "" && hmac.Equal([]byte(token), []byte(l.Token(code, pageID, to)))
}

// encode writes a code, whose first digits may be zeros.
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
