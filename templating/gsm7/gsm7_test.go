package gsm7_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// row is a line of the oracle; see testdata/README.md.
type row struct {
	Text       string `json:"text"`
	Encoding   string `json:"encoding"`
	Units      int    `json:"septets_or_units"`
	Segments   int    `json:"segments"`
	ProviderOK bool   `json:"provider_ok"`
}

func oracle(t testing.TB) []row {
	t.Helper()
	var rows []row
	for _, name := range []string{"testdata/oracle.jsonl", "testdata/disagree.jsonl"} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r row
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if len(rows) < 600 {
		t.Fatalf("the oracle has %d rows", len(rows))
	}
	return rows
}

func TestOracle(t *testing.T) {
	for _, r := range oracle(t) {
		want := gsm7.Size{Encoding: r.Encoding, Units: r.Units, Segments: r.Segments}
		if got := gsm7.Measure(r.Text); got != want {
			t.Errorf("Measure(%q) = %v, want %v", r.Text, got, want)
		}
		parts := gsm7.Segments(r.Text)
		if len(parts) != r.Segments || strings.Join(parts, "") != r.Text {
			t.Errorf("Segments(%q) = %q, want %d parts", r.Text, parts, r.Segments)
		}
		// The middle dot is the only allowed character that is not in GSM.
		allowed := !strings.ContainsFunc(r.Text, func(c rune) bool { return !textinghouse.Alphabet.Has(c) })
		if want := r.ProviderOK && !strings.Contains(r.Text, "·"); allowed != want {
			t.Errorf("all of %q allowed: %v, want %v", r.Text, allowed, want)
		}
	}
}

func TestTransliterate(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"plain text, 100% {a|b} [c] ~^", "plain text, 100% {a|b} [c] ~^"},
		{"Ää àÅå ÆæßÇ èéÉ ìÖöò ØøÑñ Üüù §¤£¿¡", "Ää àÅå ÆæßÇ èéÉ ìÖöò ØøÑñ Üüù §¤£¿¡"},
		{"node_cpu_seconds\tC:\\logs `x`", "node-cpu-seconds C:/logs 'x'"},
		{"a\r\nb\rc\u2028d\u0085e", "a\nb\nc\nd\ne"},
		{"≥ 75 °C, 1 200 €, ¥5 × 3 ≠ 2 → x", ">= 75 degC, 1 200 EUR, JPY5 x 3 != 2 -> x"},
		{"L’hôte « Orléans » – où, ça, naïve… Cœur", "L'hote \" Orléans \" - où, ca, naive... Coeur"},
		{"„münchen“ ÄÖÜ äöü ß ẞ", "\"münchen\" ÄÖÜ äöü ß Ss"},
		{"e\u0301a\u0308", "éä"}, // accents as separate characters
		{"Сервер не отвечает", "Server ne otvechaet"},
		{"服务器", "FuWuQi"},
		{"Αθήνα", "Athina"},
		{"🔥 API down ⚠️ ✅", "FIRE API down ! OK"},
		{"🔥API 3✅Resolved", "FIRE API 3 OK Resolved"},
		{"🔥🔥 ⚠️disk", "FIRE FIRE !disk"},
		{"3μs at 5 kΩ", "3us at 5 kOhm"},
		{"μονάδα ΩΡΑ", "monada ORA"},
		{"👍🏽", "+1"},
		{"👨‍👩‍👧‍👦", "?"},
		{"\x00\x1b\x7fx", "x"},
		{"\x1b", "?"},
		{"\xff\xfe", "?"},
		{"·", "."},
		{"\u200b", "?"},
	} {
		if got := gsm7.Transliterate(tc.in, textinghouse.Alphabet); got != tc.want {
			t.Errorf("Transliterate(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestChanges(t *testing.T) {
	got := gsm7.Changes("a_b_c € ok \u200b 🔥🔥a\r\n", textinghouse.Alphabet)
	want := []gsm7.Change{{From: "_", To: "-", Count: 2}, {From: "€", To: "EUR", Count: 1}, {From: "\u200b", To: "", Count: 1},
		{From: "🔥", To: "FIRE", Count: 2}, {From: "\r", To: "\n", Count: 1}}
	if !slices.Equal(got, want) {
		t.Errorf("Changes = %v, want %v", got, want)
	}
	if got := gsm7.Changes("plain", textinghouse.Alphabet); got != nil {
		t.Errorf("Changes of a plain text = %v", got)
	}
}

func TestTruncate(t *testing.T) {
	words := strings.TrimSpace(strings.Repeat("word ", 60))
	long := strings.Repeat("x", 400)
	for _, tc := range []struct {
		name, in string
		max      int
		want     string
	}{
		{"it fits", "short", 1, "short"},
		{"at a word", words, 1, strings.TrimSpace(strings.Repeat("word ", 31)) + "..."},
		{"a word that never ends", long, 1, strings.Repeat("x", 157) + "..."},
		{"two segments", long, 2, strings.Repeat("x", 303) + "..."},
		{"not in an escape pair", strings.Repeat("{", 200), 1, strings.Repeat("{", 78) + "..."},
		{"not in a surrogate pair", strings.Repeat("🔥", 50), 1, strings.Repeat("🔥", 33) + "..."},
		{"no half URL", strings.Repeat("a ", 40) + "https://example.com/" + strings.Repeat("p", 100), 1, strings.TrimSpace(strings.Repeat("a ", 40)) + "..."},
		{"nothing but a URL", "https://example.com/" + long, 1, "..."},
		{"dots apart from a URL", "See https://example.com/runbook, or " + long, 1, "See https://example.com/runbook, or " + strings.Repeat("x", 121) + "..."},
		{"dots apart from a URL at the end", strings.Repeat("a ", 70) + "https://x/y " + strings.Repeat("b", 39), 1, strings.Repeat("a ", 70) + "https://x/y ..."},
		{"no room for dots apart from a URL", strings.Repeat("a ", 72) + "https://x/yz1 " + strings.Repeat("b", 39), 1, strings.TrimSpace(strings.Repeat("a ", 72)) + "..."},
		{"without its scheme", strings.Repeat("a ", 75) + "www.example.com/" + long, 1, strings.TrimSpace(strings.Repeat("a ", 75)) + "..."},
		{"any number of segments", "short", math.MaxInt, "short"},
		{"nothing fits", "x", 0, ""},
	} {
		if got := gsm7.Truncate(tc.in, tc.max); got != tc.want {
			t.Errorf("%s: Truncate = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestTruncateBefore(t *testing.T) {
	words := strings.TrimSpace(strings.Repeat("word ", 60))
	for _, tc := range []struct {
		name, in, tail string
		max            int
		want           string
	}{
		{"it fits", "short", " +4 more", 1, "short +4 more"},
		{"only the text is cut", words, " +4 more", 1, strings.TrimSpace(strings.Repeat("word ", 30)) + "... +4 more"},
		{"nothing but the tail", "https://example.com/" + strings.Repeat("x", 400), " +4 more", 1, "... +4 more"},
		{"a tail that is too long", "short", words, 1, "short"},
		{"any number of segments", words, " +4 more", math.MaxInt, words + " +4 more"},
	} {
		if got := gsm7.TruncateBefore(tc.in, tc.tail, tc.max); got != tc.want {
			t.Errorf("%s: TruncateBefore = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestTruncateUnits(t *testing.T) {
	for _, tc := range []struct {
		in   string
		max  int
		want string
	}{
		{"The disk is full", 16, "The disk is full"},
		{"The disk is full", 15, "The disk is..."},
		{"The {disk} is full", 12, "The..."},
		{"Диск полон", 9, "Диск..."},
		{"https://example.com/runbook", 20, "..."},
		{"The disk", 2, ""},
		{"The disk", -1, ""},
		{"", 0, ""},
	} {
		if got := gsm7.TruncateUnits(tc.in, tc.max); got != tc.want {
			t.Errorf("TruncateUnits(%q, %d) = %q, want %q", tc.in, tc.max, got, tc.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, tc := range []struct {
		in   string
		max  int
		want string
	}{
		{"kubernetes-prod-worker-6d5b8d9c4-7f9c", 37, "kubernetes-prod-worker-6d5b8d9c4-7f9c"},
		{"kubernetes-prod-worker-6d5b8d9c4-7f9c", 24, "kubernetes-prod...-7f9c"},
		{"checkout-api-6c9f7d5b8d-x2lqp", 20, "checkout...-x2lqp"},
		{"NodeFilesystemAlmostOutOfSpace", 20, "NodeFilesys...fSpace"},
		{"имя-очень-длинное-конец", 12, "имя-оч...нец"},
		{"abcdef", 3, "..."},
		{"abcdef", 2, ""},
	} {
		got := gsm7.Shorten(tc.in, tc.max)
		if got != tc.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", tc.in, tc.max, got, tc.want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { gsm7.Measure(text140) }); n != 0 {
		t.Errorf("Measure allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { gsm7.Transliterate(text140, textinghouse.Alphabet) }); n != 0 {
		t.Errorf("Transliterate of a text that can be sent allocates %v times", n)
	}
}

func FuzzLaws(f *testing.F) {
	for _, r := range oracle(f) {
		f.Add(r.Text, 1)
	}
	f.Add("\xff\x00\x1b https://x/"+strings.Repeat("é_", 300), 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		parts := gsm7.Segments(s)
		if strings.Join(parts, "") != s || len(parts) != gsm7.Measure(s).Segments {
			t.Fatalf("the segments of %q are %q", s, parts)
		}
		written := gsm7.Transliterate(s, textinghouse.Alphabet)
		if size := gsm7.Measure(written); size.Encoding != gsm7.GSM7 {
			t.Fatalf("Transliterate(%q) = %q needs %s", s, written, size.Encoding)
		}
		for _, r := range written {
			if !textinghouse.Alphabet.Has(r) {
				t.Fatalf("Transliterate(%q) = %q holds %q", s, written, r)
			}
		}
		if again := gsm7.Transliterate(written, textinghouse.Alphabet); again != written {
			t.Fatalf("Transliterate(%q) = %q, and again %q", s, written, again)
		}
		if s != "" && written == "" {
			t.Fatalf("Transliterate(%q) is empty", s)
		}
		n = 1 + abs(n)%5
		for _, text := range []string{written, s} {
			if cut := gsm7.Truncate(text, n); gsm7.Measure(cut).Segments > n || utf8.ValidString(text) && !utf8.ValidString(cut) {
				t.Fatalf("Truncate(%q, %d) = %q", text, n, cut)
			}
			const tail = " +4 more"
			if cut := gsm7.TruncateBefore(text, tail, n); gsm7.Measure(cut).Segments > n || !strings.HasSuffix(cut, tail) {
				t.Fatalf("TruncateBefore(%q, %q, %d) = %q", text, tail, n, cut)
			}
			for name, cut := range map[string]string{"TruncateUnits": gsm7.TruncateUnits(text, 7*n), "Shorten": gsm7.Shorten(text, 7*n)} {
				if gsm7.Measure(cut).Units > 7*n || utf8.ValidString(text) && !utf8.ValidString(cut) || text != "" && cut == "" {
					t.Fatalf("%s(%q, %d) = %q", name, text, 7*n, cut)
				}
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func ExampleMeasure() {
	fmt.Println(gsm7.Measure("Disk full on db-1"))
	fmt.Println(gsm7.Measure("Disk full on db-1 🔥"))
	// Output:
	// {gsm7 17 1}
	// {ucs2 20 1}
}

func ExampleSegments() {
	parts := gsm7.Segments(strings.Repeat("0123456789", 17))
	fmt.Println(len(parts), len(parts[0]), len(parts[1]))
	// Output: 2 153 17
}

func ExampleTransliterate() {
	fmt.Println(gsm7.Transliterate("Température ≥ 75 °C sur l’hôte node_1", textinghouse.Alphabet))
	// Output: Température >= 75 degC sur l'hote node-1
}

func ExampleChanges() {
	for _, c := range gsm7.Changes("node_cpu_seconds ≥ 0.9", textinghouse.Alphabet) {
		fmt.Printf("%s becomes %s, %d times\n", c.From, c.To, c.Count)
	}
	// Output:
	// _ becomes -, 2 times
	// ≥ becomes >=, 1 times
}

func ExampleAlphabet_Has() {
	fmt.Println(textinghouse.Alphabet.Has('é'), textinghouse.Alphabet.Has('_'), textinghouse.Alphabet.Has('€'))
	// Output: true false false
}

func ExampleTruncateBefore() {
	fmt.Println(gsm7.TruncateBefore("The disk of db-1 is full. "+strings.Repeat("See the runbook. ", 9), " +4 more", 1))
	// Output: The disk of db-1 is full. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See... +4 more
}

func ExampleTruncateUnits() {
	fmt.Println(gsm7.TruncateUnits("The disk of db-1 is full", 20))
	// Output: The disk of db-1...
}

func ExampleShorten() {
	fmt.Println(gsm7.Shorten("kubernetes-prod-worker-6d5b8d9c4-7f9c", 24))
	// Output: kubernetes-prod...-7f9c
}

func ExampleTruncate() {
	fmt.Println(gsm7.Truncate("The disk of db-1 is full. "+strings.Repeat("See the runbook. ", 9), 1))
	// Output: The disk of db-1 is full. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See the runbook. See the...
}

// text140 is a page's text of 140 characters.
var text140 = ("CRITICAL KubePodCrashLooping payments: Pod is crash looping. checkout-api-6c9f7d5b8d-x2lqp, since 03:14. " + strings.Repeat("Runbook k8s. ", 9))[:140]

func BenchmarkMeasure(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		gsm7.Measure(text140)
	}
}

func BenchmarkTransliterateASCII(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		gsm7.Transliterate(text140, textinghouse.Alphabet)
	}
}
