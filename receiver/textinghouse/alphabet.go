package textinghouse

import "github.com/smspager/smspager/templating/gsm7"

// Alphabet holds the characters that the provider allows (seed, 5.3) and that the GSM tables have.
// It lacks the middle dot, which the provider allows but neither table has.
const Alphabet gsm7.Alphabet = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^abcdefghijklmnopqrstuvwxyz{|}~" +
	"ÄäàÅåÆæßÇèéÉìÖöòØøÑñÜüù¤§£¿¡"
