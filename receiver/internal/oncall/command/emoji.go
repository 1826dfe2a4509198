package command

import (
	"strings"
	"unicode"
)

// The emoji with a meaning. They are read before emoji are replaced by their names, because
// ":octagonal_sign:" is not STOP.
const (
	agreeing = "👍👌✅✔☑✓🆗🙏🫡🤝👊🤜🤛💪🙌🤙👏🤞🙆🙋"
	refusing = "👎🚫❌⛔🙅✖🤷"
	asked    = "❓❔⁉"
)

// emoji replaces each emoji with a word: of agreement, of refusal, "?", or one without meaning.
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
			// modifies the character before it
		case unicode.Is(unicode.So, r) && r > 0xff, r >= 0x1f000 && r <= 0x1faff:
			b.WriteString(" emoji ")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// noEmoji drops emoji with a meaning, in strings.Map.
func noEmoji(r rune) rune {
	if strings.ContainsRune(agreeing+refusing+asked, r) {
		return -1
	}
	return r
}
