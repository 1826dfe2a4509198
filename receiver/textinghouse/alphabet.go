package textinghouse

import "github.com/smspager/smspager/templating/gsm7"

// Alphabet is the characters that the provider allows (seed, 5.3), as far as the GSM tables
// have them: the middle dot, which it allows too, is in neither.
const Alphabet gsm7.Alphabet = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^abcdefghijklmnopqrstuvwxyz{|}~" +
	"ÄäàÅåÆæßÇèéÉìÖöòØøÑñÜüù¤§£¿¡"
