package console_test

import (
	"errors"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/outbox"
)

// TestContacts: the page shows the state of each phone, and what pages the contact.
func TestContacts(t *testing.T) {
	w := newWorldOf(t, strings.Replace(strings.Replace(gapped, "password: secret", "password: secret, callback_token: 0123456789abcdef-token", 1), "aliases: [Alice A.]}", `aliases: [Alice A.], quiet: {from: "22:00", to: "07:00", timezone: Asia/Tokyo, severities: [info, warning]}}`, 1)+
		"  - {name: all, to: [alice], escalate: [{after: 5m, to: [bob]}]}\n")
	w.contacts[1].Verified, w.contacts[2].Stopped = time.Time{}, time.Now().Add(-50*time.Hour)
	m := w.message(alice, time.Minute, outbox.Delivered, "x", outbox.Event{At: time.Now(), Type: outbox.EventReply, Detail: "ok"})
	m.Events[3].At, m.UpdatedAt = time.Now(), time.Now().Add(time.Minute)
	w.shows("/contacts", http.StatusOK,
		"<h1>1 phone is not verified", "<b>alice</b> <span class=\"at\">+3363•••01", `is-ok">verified`, "Quiet 22:00 to 07:00 in Asia/Tokyo for info and warning.", "Also called Alice A. ", "Paged by all.", "Last reply", `is-warn">late`,
		"<b>bob</b>", `is-warn">not verified`, "No text was delivered yet.", "On duty on primary", "<b>carol</b>", `is-warn">stopped`, "2\u00a0days\u00a0ago", "In the turns of later.", "A reply “start”", "!<form", "!"+string(alice.Number))
	w.caller = admin
	w.shows("/contacts", http.StatusOK, string(alice.Number), `action="/contacts/bob/verify"`, "Verify again", "!/contacts/carol/verify")
	w.contacts[1].Verified, w.contacts[2].Stopped = time.Now(), time.Time{}
	w.shows("/contacts", http.StatusOK, "<h1>All phones are verified")
	w.contacts[0].Stopped, w.contacts[1].Stopped = time.Now(), time.Now()
	w.shows("/contacts", http.StatusOK, "<h1>2 phones want no texts")
	w.err = errors.New("disk on fire")
	w.shows("/contacts", http.StatusServiceUnavailable, "The outbox cannot be read.")
}

// TestVerify: only an admin can send a verification, at most three an hour.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name   string
		caller access.Caller
		code   int
	}{
		{"responder", responder, http.StatusForbidden}, {"viewer", viewer, http.StatusForbidden}, {"nobody", nobody, http.StatusUnauthorized},
		{"without logins", open, http.StatusUnauthorized},
	} {
		w := newWorld(t, "")
		w.caller = c.caller
		if rec := w.do("POST", "/contacts/carol/verify", nil); rec.Code != c.code || len(w.verified) > 0 {
			t.Errorf("%s: a verification gives %d, sent %v", c.name, rec.Code, w.verified)
		}
	}
	w := newWorld(t, "")
	w.caller = admin
	for i := range 4 {
		rec := w.do("POST", "/contacts/carol/verify", nil)
		want, text := http.StatusOK, "A code was sent to carol."
		if i == 3 {
			want, text = http.StatusTooManyRequests, "This contact was sent 3 verifications within an hour"
		}
		if rec.Code != want || !strings.Contains(html.UnescapeString(rec.Body.String()), text) {
			t.Errorf("verification %d gives %d:\n%s", i+1, rec.Code, rec.Body)
		}
	}
	if rec := w.do("POST", "/contacts/dave/verify", nil); rec.Code != http.StatusNotFound {
		t.Errorf("a verification of an unknown contact gives %d", rec.Code)
	}
	if rec := w.get("/contacts/carol/verify"); rec.Code != http.StatusSeeOther || w.verified["carol"] != 4 {
		t.Errorf("a GET of the action gives %d, sent %v", rec.Code, w.verified)
	}
	w.err = errors.New("disk on fire")
	if rec := w.do("POST", "/contacts/bob/verify", nil); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("a verification that cannot be stored gives %d", rec.Code)
	}
}
