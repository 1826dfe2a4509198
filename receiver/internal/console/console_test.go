package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestNow: the page has what is open, the most severe first, and who is on duty.
func TestNow(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	rec := w.get("/")
	text := rec.Body.String()
	if rec.Code != http.StatusOK {
		t.Fatalf("GET / responds %d:\n%s", rec.Code, text)
	}
	at := 0
	for _, want := range []string{
		"<title>2 pages are not acknowledged", "Probe late:", "Not verified:", "2 others are", "6279", "Kube<wbr>Pod<wbr>Crash<wbr>Looping", "alice and bob were paged", "carol</b> <time", "Acknowledge", "6281",
		"5512", `is-ok">carol`, "4407", "Silenced", "by alice until", "Acknowledge all 2 of mine", "primary", "prometheus-eu", "alive", "4391", "alice acknowledged it after", "All pages", "Times are Europe/Paris",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or not in its place, after:\n%s", want, text[max(0, at-500):at])
		}
		at += i
	}
}
