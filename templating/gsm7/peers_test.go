package gsm7_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/mozillazg/go-unidecode"
	warthog "github.com/warthog618/sms/encoding/gsm7"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// TestPeersAgree also encodes the oracle's texts with two other libraries.
func TestPeersAgree(t *testing.T) {
	compared := 0
	for _, r := range oracle(t) {
		if r.Encoding != gsm7.GSM7 || r.Text == "" {
			continue
		}
		compared++
		septets, err := gsm7.Encode(r.Text)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := warthog.Encode([]byte(r.Text)); err != nil || !bytes.Equal(theirs, septets) {
			t.Errorf("warthog618/sms encodes %q as %x (%v), we as %x", r.Text, theirs, err, septets)
		}
		if theirs, err := data.GSM7BIT.Encode(r.Text); err != nil || !bytes.Equal(theirs, septets) {
			t.Errorf("gosmpp encodes %q as %x (%v), we as %x", r.Text, theirs, err, septets)
		}
		for fill := range 7 {
			packed := gsm7.Pack(septets, fill)
			if theirs := warthog.Pack7Bit(septets, fill); !bytes.Equal(theirs, packed) {
				t.Errorf("warthog618/sms packs %x after %d bits as %x, we as %x", septets, fill, theirs, packed)
			}
		}
		if theirs, err := warthog.Decode(septets); err != nil || string(theirs) != r.Text {
			t.Errorf("warthog618/sms decodes our encoding of %q as %q, %v", r.Text, theirs, err)
		}
	}
	if compared < 250 {
		t.Errorf("only %d texts were compared", compared)
	}
}

// TestTransliteratesLikePeers: letters become the same as in another library if both know them and
// there is only one usual spelling.
func TestTransliteratesLikePeers(t *testing.T) {
	for _, text := range []string{"Źródło", "Łódź", "naïve", "İstanbul", "Kraków", "Reykjavík", "Москва", "Brno", "coût", "ﬁle"} {
		if ours, theirs := gsm7.Transliterate(text, textinghouse.Alphabet), unidecode.Unidecode(gsm7.Transliterate(text, textinghouse.Alphabet)); unidecode.Unidecode(text) != theirs {
			t.Errorf("%q is %q to us, %q to go-unidecode", text, ours, unidecode.Unidecode(text))
		}
	}
}

// compare benchmarks our function, and reports how many times as long a peer takes for the same
// work.
func compare(b *testing.B, ours, theirs func()) {
	b.ReportAllocs()
	for b.Loop() {
		ours()
	}
	mine := b.Elapsed() / time.Duration(b.N)
	rounds := make([]time.Duration, 5)
	for i := range rounds {
		const calls = 2000
		begin := time.Now()
		for range calls {
			theirs()
		}
		rounds[i] = time.Since(begin) / calls
	}
	b.ReportMetric(float64(slices.Min(rounds))/float64(max(1, mine)), "peer/ours")
}

const mixed = "🔥 Température élevée: 75 °C — “hôte” node_1, Москва"

func BenchmarkAgainstPeers(b *testing.B) {
	text := text140
	septets, err := gsm7.Encode(text)
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name         string
		ours, theirs func()
	}{
		// Neither library measures without encoding.
		{"Measure/warthog618-sms", func() { gsm7.Measure(text) }, func() { warthog.Encode([]byte(text)) }},
		{"Measure/gosmpp", func() { gsm7.Measure(text) }, func() { data.GSM7BIT.Encode(text) }},
		{"Encode/warthog618-sms", func() { gsm7.Encode(text) }, func() { warthog.Encode([]byte(text)) }},
		{"Encode/gosmpp", func() { gsm7.Encode(text) }, func() { data.GSM7BIT.Encode(text) }},
		{"Decode/warthog618-sms", func() { gsm7.Decode(septets) }, func() { warthog.Decode(septets) }},
		{"Decode/gosmpp", func() { gsm7.Decode(septets) }, func() { data.GSM7BIT.Decode(septets) }},
		{"Pack/warthog618-sms", func() { gsm7.Pack(septets, 0) }, func() { warthog.Pack7Bit(septets, 0) }},
		{"Transliterate/ascii/go-unidecode", func() { gsm7.Transliterate(text, textinghouse.Alphabet) }, func() { unidecode.Unidecode(text) }},
		{"Transliterate/mixed/go-unidecode", func() { gsm7.Transliterate(mixed, textinghouse.Alphabet) }, func() { unidecode.Unidecode(mixed) }},
	} {
		b.Run(bench.name, func(b *testing.B) { compare(b, bench.ours, bench.theirs) })
	}
}
