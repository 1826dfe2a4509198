package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/receiver/textinghouse"
)

// The pause after a failure doubles from firstBackoff to maxBackoff, give or
// take a quarter.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// resendWindow is how old the first attempt of unknown outcome may be for the
// message to be sent again at once: should an old request still arrive, the
// provider's flood rule refuses one of the two. After it all of them must have
// ended.
const resendWindow = 10 * time.Second

// result is what became of an attempt.
type result struct {
	job      *job
	again    time.Time // when to run it again, zero when the job is done
	taken    time.Time // when the provider took it, zero if it did not
	answered bool      // the provider did not refuse the account
	refused  error     // it did
	folded   bool      // the job, and those it was to be told with, are in a digest
	alone    *job      // of those that were to be told in a digest the only one to be told
	late     bool      // it tells what was not sent in time
}

// attempt brings a message one step on: asks the provider about it if an earlier
// attempt may have been taken, and sends it if not.
func (d *Delivery) attempt(ctx context.Context, s Settings, j *job) result {
	m, err := d.messageOf(ctx, j) // j does not keep what it reads: it may have to wait for long
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		return result{job: j}
	case err != nil:
		d.logger.Error("cannot read a message; trying again", "id", j.id, "err", err)
		return result{job: j, again: time.Now().Add(storeRetry)}
	}
	r := d.attemptMessage(ctx, s, j, m)
	r.late = m.GroupKey == lateGroup
	return r
}

func (d *Delivery) attemptMessage(ctx context.Context, s Settings, j *job, m outbox.Message) result {
	lane := d.lanes.enter(m)
	defer d.lanes.leave(lane)
	if j.doubt || j.flooded {
		if r, settled := d.ask(ctx, s, j); settled {
			return r
		}
	}
	now := time.Now()
	if ctx.Err() != nil { // stopping: the next start goes on from here
		return result{job: j, again: now}
	}
	if j.outdated != "" {
		d.record(ctx, outbox.Outdated(j.id, j.outdated, now))
		return result{job: j}
	}
	if why := d.needless(ctx, m, now); why != "" {
		d.record(ctx, outbox.Needless(j.id, now, why))
		return result{job: j}
	}
	if now.After(j.expires) {
		defer d.tooLate(ctx, m)
		d.record(ctx, outbox.TooOld(j.id, now, fmt.Sprintf("not sent within %s (max_age)", describe(j.expires.Sub(m.CreatedAt)))))
		return result{job: j}
	}
	_, open, err := d.apply(ctx, outbox.Attempted(j.id, now, ""))
	switch {
	case err != nil && d.shared != nil:
		// Another process may be sending it.
		d.logger.Error("cannot mark an attempt in the outbox; trying again", "id", j.id, "err", err)
		return result{job: j, again: now.Add(storeRetry)}
	case err != nil:
		// A page beats a record of it. Only a crash before the record can be
		// made up for would let this message be sent again.
		d.logger.Error("cannot mark an attempt in the outbox; sending all the same", "id", j.id, "err", err)
	case !open: // a receipt has ended it meanwhile
		return result{job: j}
	}
	if j.tried == nil || !j.doubt || !now.Before(j.tried.last.Add(s.Timeout)) {
		j.tried = &tried{first: now}
	}
	j.tried.last = now
	if err := lane.begin(ctx); err != nil { // stopping
		return result{job: j, again: now}
	}
	defer lane.end()
	if lane.newest > m.ID {
		d.record(ctx, outbox.Outdated(j.id, lane.newest, now))
		return result{job: j}
	}
	apiID, err := s.Gateway.Send(ctx, textinghouse.SMS{To: string(m.To), Text: m.Text, ClientID: m.ID, From: s.SenderID})
	if err == nil {
		d.record(ctx, outbox.Taken(j.id, apiID, time.Now(), ""))
		return result{job: j, taken: time.Now(), answered: true}
	}
	return d.failed(ctx, j, err)
}

// ask finds out whether the provider has a message. settled is false where it
// has not, and the message may be sent again or given up now.
func (d *Delivery) ask(ctx context.Context, s Settings, j *job) (r result, settled bool) {
	status, err := s.Gateway.StatusByClientID(ctx, j.id)
	now := time.Now()
	var refusal *textinghouse.Error
	switch {
	case err == nil:
		d.record(ctx, outbox.Taken(j.id, "", now, "the provider has it, says getstatus"))
		d.record(ctx, statusChange(j.id, "", status, now, "getstatus"))
		return result{job: j, taken: now, answered: true}, true
	case !errors.As(err, &refusal), refusal.Code.Retryable():
		j.failures++
		return result{job: j, again: now.Add(backoff(j.failures))}, true
	case refusal.Code.AccountWide():
		return result{job: j, again: now.Add(accountRetry), refused: err}, true
	case refusal.Code != textinghouse.CodeUnknownClientID:
		j.failures++
		return result{job: j, again: now.Add(backoff(j.failures)), answered: true}, true
	}
	j.flooded = false
	if !j.doubt {
		return result{}, false
	}
	giveUp := j.outdated != "" || now.After(j.expires)
	var before tried
	if j.tried != nil {
		before = *j.tried
	}
	if ends := before.last.Add(s.Timeout); (giveUp || now.Sub(before.first) >= resendWindow) && now.Before(ends) {
		return result{job: j, again: ends, answered: true}, true
	}
	return result{}, false
}

// failed decides what comes after a send that brought no id.
func (d *Delivery) failed(ctx context.Context, j *job, err error) result {
	now := time.Now()
	j.failures++
	retry := result{job: j, again: now.Add(backoff(j.failures)), answered: true}
	var refusal *textinghouse.Error
	switch {
	case !errors.As(err, &refusal):
		retry.answered = false
		j.doubt = j.doubt || textinghouse.MayHaveBeenTaken(err)
	case refusal.Code == textinghouse.CodeFlood && j.doubt:
		d.record(ctx, outbox.Taken(j.id, "", now, "the provider has it: it answered the second attempt with "+refusal.Error()))
		return result{job: j, taken: now, answered: true}
	case refusal.Code == textinghouse.CodeFlood:
		// Another process may have sent this very message past the outbox.
		j.flooded = true
		retry.again = now.Add(floodWindow)
	case refusal.Code.AccountWide():
		retry.answered, retry.refused = false, err
		retry.again = now.Add(accountRetry)
		j.failures = 0
	case refusal.Code.Permanent():
		d.record(ctx, outbox.Refused(j.id, now, err.Error()))
		return result{job: j, answered: true}
	}
	next := "; next attempt in " + describe(retry.again.Sub(now))
	if j.doubt {
		d.record(ctx, outbox.Doubted(j.id, now, err.Error()+"; it may have been taken, the provider is asked in "+describe(retry.again.Sub(now))))
	} else {
		d.record(ctx, outbox.Returned(j.id, now, err.Error()+next))
	}
	d.logger.Warn("attempt failed", "id", j.id, "to", j.lane.to, "attempt", j.failures, "may_have_been_taken", j.doubt, "err", err)
	return retry
}

// record makes a change, and leaves it to the recorder when the store fails.
// What is known must be kept, even when the work is being stopped.
func (d *Delivery) record(ctx context.Context, c outbox.Change) {
	if _, _, err := d.apply(context.WithoutCancel(ctx), c); err != nil {
		d.logger.Error("cannot record what became of a message; trying again", "id", c.ID, "event", c.Event, "err", err)
		d.recorder.later(func(ctx context.Context) error {
			_, _, err := d.apply(ctx, c)
			return err
		})
	}
}

// statusChange is the change that a status makes. by says how it was learnt.
func statusChange(id, apiID string, status textinghouse.Status, at time.Time, by string) outbox.Change {
	detail := fmt.Sprintf("%d %s, by %s", int(status), status, by)
	if status.Final() {
		return outbox.Ended(id, apiID, at, outbox.StatusOf(status), status.Delivered(), detail)
	}
	return outbox.Progressed(id, apiID, at, outbox.StatusOf(status), detail)
}

// backoff is the pause after so many failures in a row.
func backoff(failures int32) time.Duration {
	d := maxBackoff
	if shift := failures - 1; shift < 6 {
		d = min(firstBackoff<<shift, maxBackoff)
	}
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
