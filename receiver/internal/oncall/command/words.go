package command

import (
	"strings"
	"time"
)

// A table has what people write for one meaning, in lower case, without accents, with a space for an
// apostrophe; phrases are divided by commas. testdata/replies.tsv has examples by language.

// strong acknowledge whatever else is written.
const strong = "ok, okay, oki, oke, okey, okie, okee, okej, 0k, ack, acked, acknowledge, acknowledged, ack ed, roger, copy that, wilco, affirmative, " +
	"on it, i m on it, im on it, i am on it, got it, i got it, i ve got it, ive got it, i got this, i have it, have it, i ll take it, ill take it, i take it, i take, taking it, taking, " +
	"will do, on my way, omw, looking into it, i m looking, i ll look, i ll do it, " + // English
	"d accord, daccord, je m en occupe, je m en charge, je prends, je le prends, j y vais, bien recu, ca marche, entendu, je regarde, c est pour moi, " + // French
	"alles klar, geht klar, in ordnung, mach ich, mache ich, ich mach s, ich mache es, ich kummere mich, ich kuemmere mich, kummere mich, kuemmere mich, ubernehme, uebernehme, " +
	"ich ubernehme, ich uebernehme, ubernommen, uebernommen, bin dran, ich bin dran, ich nehme, jawohl, einverstanden, bestatigt, bestaetigt, " + // German
	"vale, de acuerdo, me encargo, yo me encargo, me ocupo, yo me ocupo, lo tengo, ya voy, entendido, recibido, enterado, confirmado, " + // Spanish
	"va bene, d accordo, ci penso io, me ne occupo, me ne occupo io, lo prendo io, ricevuto, ci sono, confermo, confermato, " + // Italian
	"akkoord, is goed, komt goed, ik pak het, ik pak hem, ik doe het, doe ik, ik kijk, ik ga kijken, ik neem het, begrepen, bevestigd, " + // Dutch
	"ta bom, esta bem, esta bom, tudo bem, de acordo, eu trato, eu trato disso, trato disso, pode deixar, vou ver, eu vejo, combinado, recebido" // Portuguese

// weak acknowledge if no other words follow.
const weak = "yes, y, yep, yup, yeah, yea, ya, aye, sure, sure thing, k, kk, +1, copy, confirmed, mine, oui, ouais, ja, jo, jep, klar, passt, si, claro, listo, dale, certo, prima, goed, sim, beleza, no problem, no worries, " + agreement

// agreement is what the emoji of agreement are read as.
const agreement = "emojiok"

// meanings are the other verbs.
var meanings = map[Verb]string{
	Silence: "s, silence, mute, snooze, shush, sourdine, stumm, stummschalten, stumm schalten, silencio, silenciar, silencia, silenzio, silenzia, stil, dempen, demp",
	Undo: "undo, unack, take back, take it back, revert, annuler, annule, ruckgangig, rueckgangig, rueckgaengig, zurucknehmen, zuruecknehmen, deshacer, deshaz, annulla, annullare, " +
		"ongedaan, ongedaan maken, desfazer, desfaz",
	Status: "?, status, open, list, statut, etat, liste, estado, lista, stato, lijst, offen",
	Who:    "who, whos, duty, on duty, qui, wer, quien, chi, wie, quem",
	Help:   "help, h, aide, hilfe, ayuda, aiuto, hulp, ajuda",
	Next: "next, escalate, pass, pass it on, next person, someone else, somebody else, suivant, suivante, au suivant, personne suivante, escalader, weiter, weitergeben, nachster, nachste, naechster, naechste, der nachste, " +
		"eskalieren, siguiente, el siguiente, escalar, prossimo, il prossimo, successivo, avanti, volgende, de volgende, doorgeven, proximo, o proximo, seguinte",
	Stop: "stop, stopp, stopall, stop all, unsubscribe, quit, end, cancel, optout, opt out, revoke, arret, arreter, arretez, desabonner, desinscrire, desinscription, me desabonner, abmelden, abbestellen, austragen, " +
		"baja, darse de baja, dar de baja, parar, alto, desuscribir, cancelar suscripcion, basta, disiscrivi, disiscriviti, disiscrivimi, cancellami, annulla iscrizione, afmelden, uitschrijven, stoppen, sair, pare, descadastrar, cancelar subscricao",
	Start: "start, unstop",
}

// refusals take nothing, whatever else is written.
const refusals = "no, nope, nah, not, cannot, cant, can t, dont, don t, wont, won t, couldnt, couldn t, isnt, isn t, doesnt, doesn t, havent, haven t, unable, unavailable, busy, wrong number, declined, decline, emojino, " +
	"non, pas, impossible, indisponible, occupe, occupee, nein, nicht, kein, keine, keinen, nee, niet, geen, bezet, nao, ocupado, ocupada, occupato, occupata, impossibile, imposible, impossivel"

// machines are what phones and mailboxes send by themselves.
const machines = "automatic reply, automatic response, automatic message, automatic answer, automated reply, automated response, automated message, auto reply, autoreply, auto response, auto responder, autoresponder, automatically, " +
	"out of office, out of the office, ooo, away from the office, away from my desk, on vacation, on holiday, on holidays, on leave, annual leave, parental leave, on pto, i m driving, i am driving, do not disturb, " +
	"currently unavailable, call you later, call you back, call you right back, text you later, talk later, get back to you, will reply, i ll reply, will respond, as soon as i can, as soon as possible, switched off, voicemail, no longer in use, " +
	"reponse automatique, message automatique, en conge, en conges, en vacances, hors du bureau, absent, absente, absence, je conduis, je suis au volant, je vous rappelle, je te rappelle, rappelle plus tard, des que possible, " +
	"automatische antwort, automatische nachricht, abwesenheit, abwesend, abwesenheitsnotiz, im urlaub, nicht im buro, nicht im buero, ausser haus, ich fahre gerade, rufe zuruck, rufe dich zuruck, rufe sie zuruck, rufe spater an, melde mich spater, so bald wie moglich, " +
	"respuesta automatica, mensaje automatico, fuera de la oficina, de vacaciones, ausente, estoy conduciendo, te llamo luego, te llamo mas tarde, lo antes posible, " +
	"risposta automatica, messaggio automatico, fuori ufficio, fuori sede, in ferie, assente, sto guidando, ti richiamo, la richiamo, appena possibile, " +
	"automatisch antwoord, automatisch bericht, automatische reactie, afwezig, niet op kantoor, op vakantie, met vakantie, met verlof, ik rij, bel je later, bel je terug, zo snel mogelijk, " +
	"resposta automatica, mensagem automatica, fora do escritorio, de ferias, estou a conduzir, estou dirigindo, ligo mais tarde, ligo depois, assim que possivel"

// fillers say nothing.
const fillers = "the, a, an, code, codes, page, pages, alert, alerts, number, nr, is, it, its, it s, that, this, these, them, for, of, my, to, please, pls, now, and, hi, hey, hello, thanks, thank, thank you, thx, ty, cheers, mate, " +
	"thanks all, thank you all, no prob, not a problem, don t worry, dont worry, t, all good, all set, all right, alright, great, good, cool, fine, " +
	"le, la, les, l, de, du, des, pour, svp, s il vous plait, s il te plait, stp, merci, pas de souci, pas de probleme, et, bonjour, " +
	"der, die, das, den, fur, fuer, bitte, danke, kein problem, und, ist, hallo, el, los, por favor, gracias, sin problema, y, para, es, por, hola, il, lo, i, gli, per, per favore, grazie, nessun problema, e, ciao, " +
	"de, het, voor, alsjeblieft, alstublieft, aub, bedankt, dank je, dank u, dank, geen probleem, en, is, o, os, as, obrigado, obrigada, sem problema, sem problemas, emoji"

// asking begin a question if something follows.
const asking = "is, are, does, did, can, could, should, shall, what, whats, what s, why, when, where, how, which, pourquoi, quand, quel, quelle, est, ist, was, warum, wann, wo, welche, welcher, que, porque, por que, cuando, donde, cual, come, perche, quando, quale, hoe, waarom, wanneer, welke, waar, qual, onde"

// every means all pages.
const every = "all, both, everything, all of them, tout, tous, toutes, alle, alles, todo, todos, todas, tutto, tutti, tutte, allemaal, tudo"

// spans are lengths of time in words.
const spans = "an hour, one hour, une heure, eine stunde, una hora, un ora, un uur, een uur, uma hora"

const halves = "half an hour, half hour, demi heure, une demi heure, halbe stunde, eine halbe stunde, media hora, mezz ora, mezzora, half uur, een half uur, meia hora"

// units of a length.
var units = unitsOf(map[time.Duration]string{
	time.Minute:    "m, mn, min, mins, minute, minutes, minuten, minuto, minutos, minuti, minuut",
	time.Hour:      "h, hr, hrs, hour, hours, heure, heures, std, stunde, stunden, hora, horas, ora, ore, uur, uren",
	24 * time.Hour: "d, day, days, j, jour, jours, tag, tage, tagen, dia, dias, giorno, giorni, dag, dagen",
})

func unitsOf(tables map[time.Duration]string) map[string]time.Duration {
	all := make(map[string]time.Duration)
	for unit, table := range tables {
		for _, name := range phrases(table) {
			all[name] = unit
		}
	}
	return all
}

// askers begin a question.
var askers = phrases(asking)

// dictionary has the meaning of each phrase.
var dictionary = newDictionary()

// longestPhrase is how many words the longest phrase has.
const longestPhrase = 5

func newDictionary() map[string]word {
	all := make(map[string]word)
	add := func(table string, w word) { // the first meaning counts
		for _, phrase := range phrases(table) {
			if _, known := all[phrase]; !known {
				all[phrase] = w
			}
		}
	}
	add(strong, word{kind: verb, verb: Acknowledge})
	add(weak, word{kind: verb, verb: Acknowledge, weak: true})
	for v, table := range meanings {
		add(table, word{kind: verb, verb: v})
	}
	add(every, word{kind: everything})
	add(spans, word{kind: length, length: time.Hour})
	add(halves, word{kind: length, length: time.Hour / 2})
	add(fillers, word{kind: filler})
	add(refusals, word{kind: refusal})
	add(machines, word{kind: machine})
	return all
}

// phrases returns the phrases of a table.
func phrases(table string) []string { return strings.Split(table, ", ") }
