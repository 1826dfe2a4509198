package gsm7

import (
	"fmt"
	"strings"
)

// UnencodableError reports a character that is in neither GSM table.
type UnencodableError struct {
	Rune   rune
	Offset int // position in bytes
}

func (e *UnencodableError) Error() string {
	return fmt.Sprintf("%q at byte %d is not in the GSM 7-bit alphabet", e.Rune, e.Offset)
}

// Encode returns the septets of a text, one in each byte, with an escape before those of the
// extension table. The error is an *UnencodableError.
func Encode(s string) ([]byte, error) {
	septets := make([]byte, 0, len(s))
	for i, r := range s {
		switch c := codeOf(r); {
		case c == absent:
			return nil, &UnencodableError{Rune: r, Offset: i}
		case c < extended:
			septets = append(septets, c)
		default:
			septets = append(septets, escape, c&^extended)
		}
	}
	return septets, nil
}

// Decode returns the text of septets, one in each byte. Where the tables have nothing, it returns
// what a phone shows (3GPP TS 23.038, 6.2.1.1): after an escape, the character of the default
// alphabet; for a second or last escape, a space. A byte above 0x7f is an error.
func Decode(septets []byte) (string, error) {
	var b strings.Builder
	b.Grow(len(septets))
	for i := 0; i < len(septets); i++ {
		septet := septets[i]
		if septet >= extended {
			return "", fmt.Errorf("byte %d is %#x, which is not a septet", i, septet)
		}
		if septet != escape {
			b.WriteRune(characters[septet])
			continue
		}
		i++
		switch {
		case i == len(septets) || septets[i] == escape:
			b.WriteByte(' ')
		case septets[i] >= extended:
			i-- // reported in the next round
		default:
			r, ok := extension[septets[i]]
			if !ok {
				r = characters[septets[i]]
			}
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

// Pack puts septets into octets for transmission (3GPP TS 23.038, 6.1.2.1.1): each into the lowest
// free bits, after fillBits fill bits (0 to 6), which align the septets that follow a user data
// header. Remaining bits are 0.
func Pack(septets []byte, fillBits int) []byte {
	octets := make([]byte, 0, (fillBits+7*len(septets)+7)/8)
	pending, bits := uint(0), fillBits
	for _, septet := range septets {
		pending |= uint(septet&0x7f) << bits
		if bits += 7; bits >= 8 {
			octets = append(octets, byte(pending))
			pending >>= 8
			bits -= 8
		}
	}
	if bits > 0 {
		octets = append(octets, byte(pending))
	}
	return octets
}

// Unpack returns the first septets of packed octets, after fillBits fill bits. It fails if the
// octets hold fewer. The octets alone do not give the number: where seven septets leave seven bits
// free, there may be an eighth.
func Unpack(octets []byte, septets, fillBits int) ([]byte, error) {
	if septets < 0 || fillBits < 0 || fillBits > 6 || septets > (8*len(octets)-fillBits)/7 {
		return nil, fmt.Errorf("%d octets do not hold %d septets after %d fill bits", len(octets), septets, fillBits)
	}
	unpacked := make([]byte, septets)
	for i := range unpacked {
		bit := fillBits + 7*i
		wide := uint16(octets[bit/8])
		if bit%8 > 1 {
			wide |= uint16(octets[bit/8+1]) << 8
		}
		unpacked[i] = byte(wide>>(bit%8)) & 0x7f
	}
	return unpacked, nil
}
