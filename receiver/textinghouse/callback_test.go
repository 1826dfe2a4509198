package textinghouse

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestParseReceipt(t *testing.T) {
	for _, tc := range []struct {
		body string
		want Receipt
		err  string
	}{
		{`{"apimsgid":"5d72","climsgid":"FR-6468446","status":"3"}`, Receipt{"5d72", "FR-6468446", 3}, ""},
		{` {"apimsgid":"5d72","status":20,"more":{"x":[1]}} `, Receipt{"5d72", "", 20}, ""},
		{`{"climsgid":"x","apimsgid":null,"status":"1"}`, Receipt{"", "x", 1}, ""},
		{`{"climsgid":"x","status":"42"}`, Receipt{"", "x", 42}, ""},
		{`{"apimsgid":"","status":"3"}`, Receipt{}, "neither"},
		{`{"Apimsgid":"x","status":"3"}`, Receipt{}, "neither"},
		{`{"apimsgid":7,"status":"3"}`, Receipt{"7", "", 3}, ""},
		{`{"apimsgid":"x"}`, Receipt{}, `"status"`},
		{`{"apimsgid":"x","status":""}`, Receipt{}, `"status"`},
		{`{"apimsgid":"x","status":3.5}`, Receipt{}, `"status"`},
		{`{"apimsgid":"x","status":-1}`, Receipt{}, `"status"`},
		{`{"apimsgid":"x","status":null}`, Receipt{}, `"status"`},
		{`{"apimsgid":"x","status":"3"}x`, Receipt{}, "JSON object"},
		{`null`, Receipt{}, "JSON object"},
		{``, Receipt{}, "JSON object"},
	} {
		got, err := ParseReceipt([]byte(tc.body))
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) || err == nil && got != tc.want {
			t.Errorf("ParseReceipt(%s) = %+v, %v, want %+v, %q", tc.body, got, err, tc.want, tc.err)
		}
	}
}

func TestParseReply(t *testing.T) {
	date := time.Date(2019, 4, 1, 13, 9, 16, 0, time.UTC)
	for _, tc := range []struct {
		body string
		want Reply
		err  string
	}{
		{`{"apimsgid":"a","climsgid":"c","from":"33600000000","txt":"Texte","date":"2019-04-01T13:09:16Z"}`, Reply{"a", "c", "+33600000000", "Texte", date}, ""},
		{`{"apimsgid":"a","from":"+33600000000","txt":"","date":"2019-04-01 13:09:16"}`, Reply{"a", "", "+33600000000", "", date}, ""},
		{`{"apimsgid":"a","from":"33600000000","txt":"x","date":"2019-04-01T15:09:16+02:00"}`, Reply{"a", "", "+33600000000", "x", date}, ""},
		{`{"apimsgid":"a","from":"Alice","txt":"x","date":"2019-04-01 13:09:16"}`, Reply{"a", "", "Alice", "x", date}, ""},
		{`{"apimsgid":"a","txt":"x","date":"2019-04-01 13:09:16"}`, Reply{"a", "", "", "x", date}, ""},
		{`{"apimsgid":7,"from":33600000000,"txt":6279,"date":1554124156}`, Reply{"7", "", "+33600000000", "6279", date}, ""},
		{`{"apimsgid":null,"from":"33600000000","txt":true,"date":1554124156000}`, Reply{"", "", "+33600000000", "true", date}, ""},
		{`{"from":"0033 6 00 00 00 00","txt":"x","date":"2019-04-01T13:09:16"}`, Reply{"", "", "+33600000000", "x", date}, ""},
		{`{"from":"+33 (6) 00-00.00/00","txt":"x","date":"2019-04-01T13:09:16+0000"}`, Reply{"", "", "+33600000000", "x", date}, ""},
		{`{"from":"tel:+33600000000","txt":"x","date":"Mon, 01 Apr 2019 13:09:16 GMT"}`, Reply{"", "", "+33600000000", "x", date}, ""},
		{`{"from":"0600000000","txt":"x","date":"2019-04-01 15:09:16 +0200"}`, Reply{"", "", "0600000000", "x", date}, ""},
		{`{"from":"33600000000","txt":null,"date":"01/04/2019"}`, Reply{"", "", "+33600000000", "", time.Time{}}, ""},
		{"{\"from\":\"33600000000\",\"txt\":\"ok\n6279\"}", Reply{"", "", "+33600000000", "ok 6279", time.Time{}}, ""},
		{"\ufeff{\"from\":\"33600000000\",\"txt\":\"ok\"}", Reply{"", "", "+33600000000", "ok", time.Time{}}, ""},
		{`{}`, Reply{}, ""},
		{`ok`, Reply{}, "JSON object"},
	} {
		got, err := ParseReply([]byte(tc.body))
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) || err == nil && got != tc.want {
			t.Errorf("ParseReply(%s) = %+v, %v, want %+v, %q", tc.body, got, err, tc.want, tc.err)
		}
	}
}

// FuzzReceipt: a receipt that was read, written as the provider writes it, is read again as the
// same.
func FuzzReceipt(f *testing.F) {
	f.Add([]byte(`{"apimsgid":"5d72","climsgid":"FR-6468446","status":"3"}`))
	f.Add([]byte(`{"climsgid":"x","status":20}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseReceipt(body)
		if err != nil {
			return
		}
		again, err := json.Marshal(map[string]string{"apimsgid": got.APIID, "climsgid": got.ClientID, "status": fmt.Sprint(int(got.Status))})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseReceipt(again); err != nil || back != got {
			t.Fatalf("%s is %+v, but %s is %+v, %v", body, got, again, back, err)
		}
	})
}

// FuzzReply states the same law for replies.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"apimsgid":"a","climsgid":"c","from":"33600000000","txt":"Texte","date":"2019-04-01T13:09:16Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseReply(body)
		if err != nil {
			return
		}
		again, err := json.Marshal(map[string]string{"apimsgid": got.APIID, "climsgid": got.ClientID, "from": got.From, "txt": got.Text, "date": got.Date.Format(time.RFC3339Nano)})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseReply(again); err != nil || back != got {
			t.Fatalf("%s is %+v, but %s is %+v, %v", body, got, again, back, err)
		}
	})
}

// FuzzParse: an ID that was read is read again as the same; an error quotes little, and only
// printable characters.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"ID:5d726149a129c829e8c23f7b", "ERR: 101 | Authentication failed", "3", "12.5", "<html>", "ERR: 1|", "\x00\x1b"} {
		f.Add(s, 200)
	}
	f.Fuzz(func(t *testing.T, body string, code int) {
		hide := redacting("correct horse")
		id, err := parse(CommandSend, code, body, hide, parseID)
		switch e := err.(type) {
		case nil:
			if again, err := parse(CommandSend, 200, "ID:"+id, hide, parseID); err != nil || again != id {
				t.Fatalf("%q is the id %q, which is read as %q, %v", body, id, again, err)
			}
		case *Error:
			if again, err := parse(CommandSend, 200, fmt.Sprintf("ERR: %d | %s", int(e.Code), e.Description), hide, parseID); again != "" || err.(*Error).Code != e.Code {
				t.Fatalf("%q is %+v, which is read as %v", body, e, err)
			}
			quoted(t, e.Description)
		case *UnreadableResponseError:
			quoted(t, e.Excerpt)
		default:
			t.Fatalf("%q gives %T", body, err)
		}
		if status, err := parse(CommandStatus, code, body, hide, parseStatus); err == nil && (status < 0 || code != 200) {
			t.Fatalf("%q is status %d", body, int(status))
		}
		_, _ = parse(CommandCredit, code, body, hide, parseCredit)
	})
}

func quoted(t *testing.T, s string) {
	t.Helper()
	if utf8.RuneCountInString(s) > maxExcerptRunes || strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		t.Fatalf("the error quotes %q", s)
	}
}
