package gsm7_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// everything holds each character of both tables.
const everything = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€"

func TestEncode(t *testing.T) {
	septets, err := gsm7.Encode(everything)
	if err != nil || len(septets) != 127+2*10 {
		t.Fatalf("%d septets, %v", len(septets), err)
	}
	back, err := gsm7.Decode(septets)
	if err != nil || back != everything {
		t.Errorf("Decode = %q, %v", back, err)
	}
	_, err = gsm7.Encode("5 €, 5 °C")
	var no *gsm7.UnencodableError
	if !errors.As(err, &no) || no.Rune != '°' || no.Offset != 9 {
		t.Errorf("the degree sign gives %v", err)
	}
	if _, err := gsm7.Encode("\x1b"); err == nil {
		t.Error("the escape is encoded as a character")
	}
}

// TestDecodeOddities decodes septets that Encode never returns (3GPP TS 23.038, 6.2.1.1, notes 1
// and 3).
func TestDecodeOddities(t *testing.T) {
	for in, want := range map[string]string{
		"\x1bA":         "A",  // not in the extension table
		"A\x1b":         "A ", // nothing after the escape
		"\x1b\x1b":      " ",
		"\x1b\x1b\x65":  " e",
		"\x1b\x65\x00":  "€@",
		"\x1b\x14\x14^": "^ΛÜ",
	} {
		if got, err := gsm7.Decode([]byte(in)); got != want || err != nil {
			t.Errorf("Decode(%x) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"\x80", "A\x1b\xff"} {
		if got, err := gsm7.Decode([]byte(in)); err == nil {
			t.Errorf("Decode(%x) = %q", in, got)
		}
	}
}

func TestPack(t *testing.T) {
	// The well-known example: "hellohello" in PDUs.
	septets, _ := gsm7.Encode("hellohello")
	if got := fmt.Sprintf("%X", gsm7.Pack(septets, 0)); got != "E8329BFD4697D9EC37" {
		t.Errorf("Pack = %s", got)
	}
	if octets := gsm7.Pack(make([]byte, 160), 0); len(octets) != 140 {
		t.Errorf("160 septets take %d octets", len(octets))
	}
	for _, tc := range []struct{ octets, septets, fill int }{{1, 2, 0}, {0, 1, 0}, {1, 1, 2}, {1, -1, 0}, {1, 1, 7}} {
		if got, err := gsm7.Unpack(make([]byte, tc.octets), tc.septets, tc.fill); err == nil {
			t.Errorf("Unpack(%v) = %v", tc, got)
		}
	}
}

// TestConcat16 measures texts at the limits where the longer reference makes a difference.
func TestConcat16(t *testing.T) {
	for _, tc := range []struct {
		text     string
		c8, c16  int
		inFirst8 int
	}{
		{strings.Repeat("a", 160), 1, 1, 160},
		{strings.Repeat("a", 2*152), 2, 2, 153},
		{strings.Repeat("a", 2*153), 2, 3, 153},
		{strings.Repeat("ш", 2*67), 2, 3, 67},
		{strings.Repeat("ш", 2*66), 2, 2, 67},
		{strings.Repeat("{", 160), 3, 3, 76},
	} {
		c8, c16 := gsm7.Concat8.Segments(tc.text), gsm7.Concat16.Segments(tc.text)
		if len(c8) != tc.c8 || len(c16) != tc.c16 || len([]rune(c8[0])) != tc.inFirst8 {
			t.Errorf("%d characters: %d and %d segments, %d in the first", len([]rune(tc.text)), len(c8), len(c16), len([]rune(c8[0])))
		}
		if got := gsm7.Concat16.Measure(tc.text).Segments; got != tc.c16 || strings.Join(c16, "") != tc.text {
			t.Errorf("Measure says %d segments, not %d", got, tc.c16)
		}
	}
}

// TestURLsStayTheSameAddress: a character that the provider does not allow is percent-encoded
// inside a URL (RFC 3986, 2.1), and transliterated outside.
func TestURLsStayTheSameAddress(t *testing.T) {
	for in, want := range map[string]string{
		"a_b https://wiki.example/node_exporter/Disk_Full c_d": "a-b https://wiki.example/node%5Fexporter/Disk%5FFull c-d",
		"(http://x.example/ê?q=€\\)":                           "(http://x.example/%C3%AA?q=%E2%82%AC%5C)",
		"“https://x.example/a_b” 。https://x.example/a_b。":      "\"https://x.example/a%5Fb\" .https://x.example/a%5Fb.",
		"https://x.example/a_b\nc_d":                           "https://x.example/a%5Fb\nc-d",
		"<https://x.example/_> _":                              "<https://x.example/%5F> -",
		"see https://x.example/é":                              "see https://x.example/é",
	} {
		if got := gsm7.Transliterate(in, textinghouse.Alphabet); got != want || gsm7.Transliterate(got, textinghouse.Alphabet) != got {
			t.Errorf("Transliterate(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := gsm7.Cheap("[a] https://x.example/?q=[a]|b {c}"), "(a) https://x.example/?q=[a]|b (c)"; got != want {
		t.Errorf("Cheap = %q, want %q", got, want)
	}
}

func TestCheap(t *testing.T) {
	const in, want = `rate(http{code=~"5.."}[5m]) | a\b ~ €`, `rate(http(code=~"5..")(5m)) / a/b ~ €`
	got := gsm7.Cheap(in)
	if got != want || gsm7.Cheap(got) != got {
		t.Errorf("Cheap = %q", got)
	}
}

// FuzzEncode: decoding returns the encoded text, packed or not.
func FuzzEncode(f *testing.F) {
	f.Add(everything, uint8(1))
	f.Add("shell {a|b} ✓", uint8(0))
	f.Fuzz(func(t *testing.T, s string, fill uint8) {
		septets, err := gsm7.Encode(s)
		size := gsm7.Measure(s)
		if (err == nil) != (size.Encoding == gsm7.GSM7) {
			t.Fatalf("Measure(%q) = %v, but Encode says %v", s, size, err)
		}
		if err != nil { // any septets can be decoded, even those that Encode never returns
			if text, err := gsm7.Decode([]byte(s)); err == nil && gsm7.Measure(text).Encoding != gsm7.GSM7 {
				t.Fatalf("Decode(%x) = %q", s, text)
			}
			return
		}
		if len(septets) != size.Units {
			t.Fatalf("Encode(%q) is %d septets, Measure says %d", s, len(septets), size.Units)
		}
		if text, err := gsm7.Decode(septets); err != nil || text != s {
			t.Fatalf("Decode(Encode(%q)) = %q, %v", s, text, err)
		}
		bits := int(fill % 7)
		if got, err := gsm7.Unpack(gsm7.Pack(septets, bits), len(septets), bits); err != nil || !slices.Equal(got, septets) {
			t.Fatalf("Unpack(Pack(%x), %d) = %x, %v", septets, bits, got, err)
		}
		if cheap := gsm7.Cheap(s); gsm7.Measure(cheap).Units > size.Units {
			t.Fatalf("Cheap(%q) = %q is dearer", s, cheap)
		}
	})
}

func ExampleEncode() {
	septets, err := gsm7.Encode("5 €")
	if err != nil {
		panic(err)
	}
	fmt.Printf("% x\n", septets)
	fmt.Printf("% x\n", gsm7.Pack(septets, 0))
	// Output:
	// 35 20 1b 65
	// 35 d0 a6 0c
}

func ExampleDecode() {
	septets, err := gsm7.Unpack([]byte{0x35, 0xd0, 0xa6, 0x0c}, 4, 0)
	if err != nil {
		panic(err)
	}
	text, err := gsm7.Decode(septets)
	fmt.Println(text, err)
	// Output: 5 € <nil>
}

func ExampleConcatenation() {
	long := strings.Repeat("0123456789", 31)[:306]
	fmt.Println(gsm7.Measure(long), gsm7.Concat16.Measure(long))
	// Output: {gsm7 306 2} {gsm7 306 3}
}

func ExampleCheap() {
	fmt.Println(gsm7.Cheap("sda[0] {raid|lvm}"))
	// Output: sda(0) (raid/lvm)
}
