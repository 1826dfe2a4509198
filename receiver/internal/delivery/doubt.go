package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

const (
	// resendWindow is how old the first attempt of unknown outcome may be for the message
	// to be sent again immediately: if an old request still arrives, the provider's flood
	// rule refuses one of the two. Later, the message waits until all requests have ended.
	resendWindow = 10 * time.Second
	// maxAsk is how long the provider is asked in vain, while sending works, before a message
	// in doubt is sent again: for a pager, twice is better than never.
	maxAsk = 2 * time.Minute
	// maxAskAgain replaces maxAsk in a new term if the message has waited for maxAsk before.
	maxAskAgain = 20 * time.Second
	// maxAskPause is the longest pause between two questions in the first minutes of a doubt.
	maxAskPause = 10 * time.Second
)

// ask asks the provider whether it has the message. settled is false if the message may be sent
// or dropped now.
func (a *attempt) ask(ctx context.Context) (r queue.Result, settled bool) {
	status, err := a.Gateway.StatusByClientID(ctx, a.ID)
	now := a.spool.Now()
	var refusal *textinghouse.Error
	switch {
	case err == nil:
		a.record(ctx, outbox.ProviderAccepted(a.ID, "", now, fmt.Sprintf("the provider has it, according to getstatus (%d %s)", int(status), status)))
		if status.Known() {
			a.record(ctx, statusChange(a.ID, "", status, now, "getstatus"))
		}
		return a.accepted(now), true
	case errors.As(err, &refusal) && refusal.Code == textinghouse.CodeUnknownClientID:
		a.Doubt.CannotAskSince = time.Time{}
		a.findNewer(ctx)
	case refusal != nil && refusal.Code.AccountWide():
		if a.replaced() {
			return a.again(now.Add(firstBackoff)), true
		}
		r = a.again(now.Add(queue.AccountRetry))
		r.Refused = true
		return r, true
	default:
		works := refusal != nil && refusal.Code != textinghouse.CodeProcessing || errors.Is(err, textinghouse.ErrPartlyAsked)
		return a.askFailed(ctx, err, works, now)
	}
	ends := a.requestEnds()
	if known := ends.Add(resendWindow); a.Doubt.Tried && now.Before(known) && !a.Gateway.Guards(a.ID) {
		return a.again(known), true // until then, getstatus may not know it
	}
	if (a.mustDrop(now) || now.Sub(a.Doubt.First) >= resendWindow) && now.Before(ends) {
		return a.again(ends), true
	}
	return queue.Result{}, false
}

// askFailed decides what follows if the provider could not be asked; why is the error. Once the old
// request must have ended, newer messages of the lane may pass. After maxAsk (see askLimit), the message
// is sent again if sending works. Otherwise the doubt ends after [pollFor].
func (a *attempt) askFailed(ctx context.Context, why error, works bool, now time.Time) (r queue.Result, settled bool) {
	if a.Doubt.CannotAskSince.IsZero() {
		a.Doubt.CannotAskSince = now
		a.logger.Warn("the provider cannot be asked about a message; it waits for two minutes at most while sending works", "id", a.ID, "to", a.To, "err", why)
	}
	a.Doubt.Failures++
	pause := backoff(a.Doubt.Failures)
	if now.Sub(a.Doubt.CannotAskSince) < maxAsk {
		pause = min(pause, maxAskPause)
	}
	if left := a.requestEnds().Sub(now); left > 0 {
		return a.again(now.Add(min(pause, max(left, firstBackoff)))), true
	}
	a.findNewer(ctx)
	if a.Successor != "" {
		a.record(ctx, outbox.SupersededByNewer(a.ID, a.Successor, now))
		return a.over(), true
	}
	works = works || a.lastWorked.Load() > a.Doubt.CannotAskSince.UnixMilli()
	if works && now.Sub(a.Doubt.CannotAskSince) >= a.askLimit() || now.Sub(a.m.CreatedAt) >= pollFor {
		return queue.Result{}, false
	}
	return a.again(now.Add(pause)), true
}

// askLimit returns how long the provider is asked in vain: maxAsk, or maxAskAgain if the message has waited
// for maxAsk before this term, because an earlier term may have asked about it.
func (a *attempt) askLimit() time.Duration {
	last := a.m.CreatedAt
	switch {
	case a.Doubt.Tried:
		last = a.Doubt.Last
	case a.m.AttemptedAt.After(last):
		last = a.m.AttemptedAt
	}
	if a.Doubt.CannotAskSince.Sub(last) >= maxAsk {
		return maxAskAgain
	}
	return maxAsk
}

// findNewer looks for a newer message of the group that was delivered: an earlier run may have sent
// it, and ended before it dropped this message. Newer messages that the provider has but has not
// delivered were loaded at the start.
func (a *attempt) findNewer(ctx context.Context) {
	if a.Successor != "" || a.m.GroupKey == outbox.DigestGroup {
		return
	}
	newest, known := a.sent.Get(a.To)
	if !known {
		ctx, cancel := context.WithTimeout(ctx, listPatience)
		defer cancel()
		ms, err := a.spool.List(ctx, outbox.Query{To: a.To, State: outbox.Delivered, Limit: 500})
		if err != nil {
			a.logger.Warn("cannot look for a newer message; this one may be sent after it", "id", a.ID, "err", err)
			return
		}
		newest = make(map[group]string)
		for _, m := range ms { // newest first
			if g := (group{m.Receiver, m.GroupKey}); newest[g] == "" {
				newest[g] = m.ID
			}
		}
		a.sent.Add(a.To, newest)
	}
	if id := newest[group{a.m.Receiver, a.m.GroupKey}]; id > a.ID {
		a.Successor = id
	}
}
