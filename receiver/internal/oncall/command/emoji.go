package command

import (
	"strings"
	"unicode"
)

// The meanings of emoji. They are read before emoji are replaced by their names: ":octagonal_sign:"
// is no STOP.
const (
	agreeing = "👍👌✅✔☑✓🆗🙏🫡🤝👊🤜🤛💪🙌🤙👏🤞🙆🙋"
	refusing = "👎🚫❌⛔🙅✖🤷"
	asked    = "❓❔⁉"
)

// emoji replaces each emoji by a word: of agreement, of refusal, or one that says nothing.
func emoji(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case strings.ContainsRune(agreeing, r):
			b.WriteString(" " + agreement + " ")
		case strings.ContainsRune(refusing, r):
			b.WriteString(" emojino ")
		case strings.ContainsRune(asked, r):
			b.WriteString(" ? ")
		case r == '\u200d', r == '\u20e3', r == '♂', r == '♀', unicode.Is(unicode.Variation_Selector, r), r >= 0x1f3fb && r <= 0x1f3ff:
			// they modify the character before
		case unicode.Is(unicode.So, r) && r > 0xff, r >= 0x1f000 && r <= 0x1faff:
			b.WriteString(" emoji ")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// noEmoji drops the emoji of a text.
func noEmoji(r rune) rune {
	if strings.ContainsRune(agreeing+refusing+asked, r) {
		return -1
	}
	return r
}
