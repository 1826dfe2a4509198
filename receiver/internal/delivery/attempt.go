package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/smspager/smspager/receiver/e164"
	"github.com/smspager/smspager/receiver/internal/delivery/queue"
	"github.com/smspager/smspager/receiver/internal/spool"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// The pause after a failure doubles from firstBackoff to maxBackoff, give or
// take a quarter.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

const (
	// storeRetry is how long a message waits after it could not be read.
	storeRetry = time.Second
	// fresh is the age below which a message is certainly still needed.
	fresh = 2 * time.Second
)

// attempts executes the queue's Runs, each in a goroutine beside the sender's.
type attempts struct {
	d          *Delivery
	spool      *spool.Spool
	logger     *slog.Logger
	metrics    *metrics
	pages      Pages // nil: there are none
	notices    *notices
	lastWorked atomic.Int64 // when a response last showed that sending works, Unix ms
	// sent holds, by recipient, the ID of the newest delivered message of each group that an
	// earlier run sent. The queue knows what this run sends.
	sent *lru.Cache[e164.Number, map[group]string]
}

// group is a receiver's group of alerts.
type group struct{ receiver, key string }

// attempt is the execution of one Run.
type attempt struct {
	*attempts
	Settings
	queue.Run
	m     outbox.Message
	known *outbox.Message // m before its first change; nil afterwards: a receipt may come at any time
	term  int64           // the term in which it began
}

// do executes a Run.
func (a *attempts) do(ctx context.Context, s Settings, run queue.Run) queue.Result {
	term := a.d.term(run.ID)
	if run.Do == queue.Digest {
		return a.digest(ctx, s, run, term)
	}
	m, err := a.message(ctx, run)
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return queue.Result{Run: run}
	case errors.Is(err, outbox.ErrDamaged):
		a.logDamage(run.ID, err)
		return queue.Result{Run: run}
	case err != nil:
		a.d.leader.trouble()
		a.logger.Error("cannot read a message; trying again", "id", run.ID, "err", err)
		return queue.Result{Run: run, Again: a.spool.Now().Add(storeRetry), Doubt: run.Doubt}
	}
	if m.WasAccepted() || m.State.Final() { // a receipt came, or another replica ended it
		if m.State == outbox.Accepted {
			a.d.poller.add(m)
		}
		return queue.Result{Run: run, AcceptedAt: m.AcceptedAt}
	}
	at := &attempt{attempts: a, Settings: s, Run: run, m: m, known: &m, term: term}
	if run.Do == queue.Ask {
		if r, settled := at.ask(ctx); settled {
			return r
		}
		if now := a.spool.Now(); !at.mustDrop(now) { // a newer message may have come meanwhile: the queue decides
			at.Doubt.Cleared = true
			return at.again(now)
		}
	}
	return at.send(ctx)
}

func (a *attempts) logDamage(id string, err error) {
	a.logger.Error("a message cannot be read because the outbox is damaged; it is not sent until the outbox is repaired and smspager restarts", "id", id, "err", err)
}

// message returns a Run's message. If the message may have been attempted, message reads it again: a receipt
// may have come since it was queued.
func (a *attempts) message(ctx context.Context, run queue.Run) (outbox.Message, error) {
	if run.Message != nil && run.Doubt == (queue.Doubt{}) {
		return *run.Message, nil
	}
	m, err := a.spool.Get(ctx, run.ID)
	if err != nil && run.Message != nil {
		return *run.Message, nil
	}
	return m, err
}

// record makes a change, even if ctx has ended: what is known must be kept. It reports whether the message's
// state allowed the change.
func (a *attempt) record(ctx context.Context, c outbox.Change) (made bool) {
	if decides(c) {
		c.Term = a.term
	}
	made, err := a.spool.Record(context.WithoutCancel(ctx), c, a.known)
	a.known = nil
	if err != nil {
		a.logger.Error("cannot record a change of a message", "id", c.ID, "event", c.Event, "err", err)
	}
	return made
}

// decides reports whether a change is a decision of the leader, as opposed to a fact.
func decides(c outbox.Change) bool {
	switch c.To {
	case outbox.Queued, outbox.Expired, outbox.Superseded:
		return true
	case outbox.Failed:
		return c.Status == outbox.NoStatus
	}
	return false
}

// over returns the result of an attempt that leaves nothing to do.
func (a *attempt) over() queue.Result { return queue.Result{Run: a.Run} }

// again returns the result of an attempt that must be followed by another at a time.
func (a *attempt) again(at time.Time) queue.Result {
	a.Doubt.RequestsEnded = !a.spool.Now().Before(a.requestEnds())
	return queue.Result{Run: a.Run, Again: at, Doubt: a.Doubt}
}

// accepted returns the result of an attempt after which the provider has the message.
func (a *attempt) accepted(at time.Time) queue.Result {
	return queue.Result{Run: a.Run, AcceptedAt: at}
}

// requestEnds returns when the last request to send the message must have ended.
func (a *attempt) requestEnds() time.Time { return a.Doubt.Last.Add(a.Timeout) }

// replaced reports whether a reload has replaced the account that the attempt used.
func (a *attempt) replaced() bool { return a.Gateway != a.d.settings.Load().Gateway }

// mustDrop reports whether the message must no longer be sent.
func (a *attempt) mustDrop(now time.Time) bool { return a.Successor != "" || now.After(a.Expires) }

// send sends the message, or ends it if it must no longer be sent.
func (a *attempt) send(ctx context.Context) queue.Result {
	now := a.spool.Now()
	if why := a.dropChange(ctx, now); why != nil {
		if a.record(ctx, *why) && why.To == outbox.Expired {
			a.notices.tooLate(ctx, &a.m, a.term)
		}
		return a.over()
	}
	before := a.Doubt
	now = a.spool.Now()
	if !a.Doubt.Ask || !now.Before(a.requestEnds()) {
		a.Doubt.First = now
	}
	a.Doubt.Last, a.Doubt.Cleared = now, false
	detail := ""
	if !a.Doubt.CannotAskSince.IsZero() {
		detail = "the provider could not be asked about the previous attempt: it may arrive twice"
		a.Doubt.CannotAskSince = time.Time{}
	}
	// Nothing between this check and the request may wait.
	if ctx.Err() != nil || !a.d.maySend(a.ID) { // the next sender continues from here
		a.Doubt = before
		return a.again(now.Add(storeRetry))
	}
	if detail != "" {
		a.metrics.doubles.Inc()
	}
	a.record(ctx, outbox.Attempted(a.ID, now, detail))
	apiID, err := a.Gateway.Send(ctx, textinghouse.SMS{To: string(a.To), Text: a.Links.Fill(a.m.Text, a.m.PageID, a.To), ClientID: a.ID, From: a.SenderID})
	if err == nil {
		now = a.spool.Now()
		a.record(ctx, outbox.ProviderAccepted(a.ID, apiID, now, ""))
		return a.accepted(now)
	}
	return a.failed(ctx, err)
}

// dropChange returns the change that ends a message because it must no longer be sent, nil to send
// it.
func (a *attempt) dropChange(ctx context.Context, now time.Time) *outbox.Change {
	var c outbox.Change
	switch {
	case a.Successor != "":
		c = outbox.SupersededByNewer(a.ID, a.Successor, now)
	case now.After(a.Expires) && a.Doubt.Tried && !a.Doubt.CannotAskSince.IsZero():
		c = outbox.OutcomeUnknown(a.ID, now, "too old to be sent again (max_age), and the provider cannot be asked whether it has it")
	case now.After(a.Expires):
		c = outbox.TooOld(a.ID, now, fmt.Sprintf("not sent within %s (max_age)", describe(a.Expires.Sub(a.m.CreatedAt))))
	default:
		why := a.whyDrop(ctx, a.m, now)
		if why == "" {
			return nil
		}
		c = outbox.NotNeeded(a.ID, now, why)
	}
	return &c
}

// whyDrop returns the reason to drop a message that has waited, "" to send it.
func (a *attempts) whyDrop(ctx context.Context, m outbox.Message, now time.Time) string {
	if a.pages == nil || now.Sub(m.CreatedAt) < fresh {
		return ""
	}
	return a.pages.Needless(ctx, m)
}

// failed decides what follows a request that did not return an ID.
func (a *attempt) failed(ctx context.Context, err error) queue.Result {
	now := a.spool.Now()
	doubt := a.Doubt.Tried // from earlier attempts
	a.Doubt.Failures++
	r := a.again(now.Add(backoff(a.Doubt.Failures)))
	var refusal *textinghouse.Error
	switch {
	case !errors.As(err, &refusal):
		doubt = doubt || textinghouse.MayHaveBeenAccepted(err)
		r.Doubt.Ask = a.Doubt.Ask || doubt
		r.Doubt.Tried = doubt
	case refusal.Code == textinghouse.CodeFlood:
		// The provider may have accepted another message with this text, or this one from
		// another process or from an attempt in doubt.
		r.Doubt.Ask = true
		r.Again = now.Add(queue.FloodWindow)
	case refusal.Code.AccountWide():
		if !a.replaced() {
			r.Refused = true
			r.Again, r.Doubt.Failures = now.Add(queue.AccountRetry), 0
		}
	case refusal.Code.Permanent():
		a.record(ctx, outbox.Refused(a.ID, now, err.Error()))
		return a.over()
	}
	wait := describe(r.Again.Sub(now))
	if doubt {
		a.record(ctx, outbox.Doubted(a.ID, now, err.Error()+"; it may have been accepted, the provider is asked in "+wait))
	} else {
		a.record(ctx, outbox.Returned(a.ID, now, err.Error()+"; next attempt in "+wait))
	}
	a.logger.Warn("attempt failed", "id", a.ID, "to", a.To, "attempt", a.Doubt.Failures, "may_have_been_accepted", doubt, "err", err)
	return r
}

// statusChange returns the change that a status makes. by says where the status came from.
func statusChange(id, apiID string, status textinghouse.Status, at time.Time, by string) outbox.Change {
	detail := fmt.Sprintf("%d %s, by %s", int(status), status, by)
	if status.Final() {
		return outbox.Ended(id, apiID, at, outbox.StatusOf(status), status.Delivered(), detail)
	}
	return outbox.Progressed(id, apiID, at, outbox.StatusOf(status), detail)
}

// backoff returns the pause after a number of failures in a row.
func backoff(failures int32) time.Duration {
	d := maxBackoff
	if shift := failures - 1; shift < 6 {
		d = min(firstBackoff<<shift, maxBackoff)
	}
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
