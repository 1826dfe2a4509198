package e164_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/e164"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want e164.Number // "": an error
	}{
		{"+33612345678", "+33612345678"},
		{" +33 6 12.34-56 (78) ", "+33612345678"},
		{"0033612345678", "+33612345678"},
		{"999", "999"},
		{"+4915112345678", "+4915112345678"},
		{"+33 (0)6 39 98 00 01", "+33639980001"},
		{"+330639980001", "+33639980001"},
		{"+44 (0) 7911 123456", "+447911123456"},
		{"+49 (0)151 23456789", "+4915123456789"},
		{"+39 (0)6 1234 5678", "+390612345678"},
		{"+390612345678", "+390612345678"},
		{"+1 (0)201 555 0123", "+12015550123"},
		{"+358 (0)40 1234567", "+358401234567"},
		{"+30 (0)210 1234567", "+302101234567"},
		{"+30 210 1234567", "+302101234567"},
		{"+20 100 1234567", "+201001234567"},
		{"+33\u00a06\u202f39\u00a098\u00a000\u00a001", "+33639980001"},
		{"\u202a+33 6 39 98 00 01\u202c", "+33639980001"},
		{"+33\u20116\u201139980001", "+33639980001"},
		{"tel:+33639980001", "+33639980001"},
		{"0612345678", ""},
		{"33612345678", ""},
		{"+0612345678", ""},
		{"+331234", ""},
		{"+1234567890123456", ""},
		{"+336123a5678", ""},
		{"+٣٣٦١٢٣٤٥٦٧٨", ""},
		{"+", ""},
		{"", ""},
	} {
		got, err := e164.Parse(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("Parse(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

// FuzzParse: a number that was accepted is accepted again, unchanged.
func FuzzParse(f *testing.F) {
	f.Add("+33 6 12 34 56 78")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := e164.Parse(s)
		if err != nil {
			return
		}
		if again, err := e164.Parse(string(n)); err != nil || again != n {
			t.Fatalf("Parse(%q) = %q, but Parse(%q) = %q, %v", s, n, n, again, err)
		}
	})
}

func TestLogValueHidesTheMiddle(t *testing.T) {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("sent", "to", e164.Number("+33612345678"))
	if strings.Contains(out.String(), "612345") || !strings.Contains(out.String(), "+3361*****78") {
		t.Errorf("the log line is %s", out.String())
	}
}

func TestRedact(t *testing.T) {
	const text, want = `{}:{phone="+33612345678", other="+49 is a prefix, 3+4"}`, `{}:{phone="+3361*****78", other="+49 is a prefix, 3+4"}`
	if got := e164.Redact(text); got != want {
		t.Errorf("Redact(%s) = %s, want %s", text, got, want)
	}
}

func ExampleParse() {
	n, _ := e164.Parse("+33 6 12 34 56 78")
	fmt.Println(n, n.Short())
	// Output: +33612345678 +3361*****78
}
