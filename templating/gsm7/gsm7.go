// Package gsm7 measures, splits, cuts, transliterates and encodes texts for SMS.
//
// A text is sent in septets if all of its characters are in the GSM 7-bit default alphabet or its
// extension table (3GPP TS 23.038, 6.2.1 and 6.2.1.1). Any other text is sent in UCS-2, which takes more
// than twice the space:
//
//	            one segment   each of several   with 16-bit references
//	gsm7        160 septets   153 septets       152 septets
//	ucs2         70 units      67 units          66 units    (UTF-16 code units)
//
// A character of the extension table takes two septets: an escape and its own. Neither such a pair nor a
// surrogate pair is split between segments (3GPP TS 23.040, 9.2.3.24.1 for the former). Segments are what
// is billed.
package gsm7

// Encoding says how a text is sent.
type Encoding = string

const (
	GSM7 Encoding = "gsm7"
	UCS2 Encoding = "ucs2"
)

// Concatenation says how the segments of a long text refer to one another: by a reference number of 8
// bits, as nearly everywhere, or of 16 bits. The header with that number takes 6 or 7 of the 140 octets
// of a segment (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8). The functions of this package are the methods
// of Concat8.
type Concatenation uint8

const (
	Concat8 Concatenation = iota
	Concat16
)

// Units in a text of a single segment.
const singleSeptets, singleUCS2 = 160, 70

// septets and ucs2 return the units in each of several segments.
func (c Concatenation) septets() int { return 153 - int(c) }
func (c Concatenation) ucs2() int    { return 67 - int(c) }

// Size is the length of a text and the segments that it needs.
type Size struct {
	Encoding Encoding // GSM7 or UCS2
	Units    int      // septets, or UTF-16 code units
	Segments int      // billed segments, at least 1
}

// Room returns how many units each segment of a text holds, for an encoding and a number of segments.
func Room(e Encoding, segments int) int {
	switch {
	case e == UCS2 && segments == 1:
		return singleUCS2
	case e == UCS2:
		return Concat8.ucs2()
	case segments == 1:
		return singleSeptets
	}
	return Concat8.septets()
}

// Measure returns the size of a text. Bytes that are not UTF-8 count as U+FFFD.
func Measure(s string) Size { return Concat8.Measure(s) }

// Segments returns the segments that a text is sent in. Joined, they are the text.
func Segments(s string) []string { return Concat8.Segments(s) }

// Measure does what the function Measure does.
func (c Concatenation) Measure(s string) Size {
	septets, ok := countSeptets(s)
	switch {
	case ok && septets <= singleSeptets:
		return Size{GSM7, septets, 1}
	case ok:
		return Size{GSM7, septets, pack(s, c.septets(), septetsOf, nil)}
	}
	units := 0
	for _, r := range s {
		units += unitsOf(r)
	}
	if units <= singleUCS2 {
		return Size{UCS2, units, 1}
	}
	return Size{UCS2, units, pack(s, c.ucs2(), unitsOf, nil)}
}

// Segments does what the function Segments does.
func (c Concatenation) Segments(s string) []string {
	size := c.Measure(s)
	if size.Segments == 1 {
		return []string{s}
	}
	parts := make([]string, 0, size.Segments)
	begin := 0
	cut := func(at int) {
		parts = append(parts, s[begin:at])
		begin = at
	}
	if size.Encoding == GSM7 {
		pack(s, c.septets(), septetsOf, cut)
	} else {
		pack(s, c.ucs2(), unitsOf, cut)
	}
	return append(parts, s[begin:])
}

// pack counts the segments that a text fills. It calls cut, unless that is nil, at the beginning of each
// segment except the first.
func pack(s string, capacity int, width func(rune) int, cut func(at int)) int {
	segments, used := 1, 0
	for i, r := range s {
		w := width(r)
		if used+w > capacity {
			segments++
			used = 0
			if cut != nil {
				cut(i)
			}
		}
		used += w
	}
	return segments
}

// countSeptets returns the septets of a text; ok is false if a character is in neither table.
func countSeptets(s string) (septets int, ok bool) {
	i := 0
	for ; len(s)-i >= 8; i += 8 { // eight at a time, which is three times as fast
		b := s[i : i+8]
		sum := int(widthsOfASCII[b[0]]) + int(widthsOfASCII[b[1]]) + int(widthsOfASCII[b[2]]) + int(widthsOfASCII[b[3]]) +
			int(widthsOfASCII[b[4]]) + int(widthsOfASCII[b[5]]) + int(widthsOfASCII[b[6]]) + int(widthsOfASCII[b[7]])
		if sum >= notASCII {
			break
		}
		septets += sum
	}
	for ; i < len(s); i++ {
		w := widthsOfASCII[s[i]]
		if w == notASCII {
			return countSeptetsOfRunes(s[i:], septets)
		}
		septets += int(w)
	}
	return septets, true
}

// countSeptetsOfRunes counts on from the first character that is not an ASCII character of the
// tables.
func countSeptetsOfRunes(s string, septets int) (int, bool) {
	for _, r := range s {
		w := septetsOf(r)
		if w == 0 {
			return 0, false
		}
		septets += w
	}
	return septets, true
}

// unitsOf returns the number of UTF-16 code units of a character.
func unitsOf(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
