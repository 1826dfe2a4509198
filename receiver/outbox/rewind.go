package outbox

import (
	"regexp"
	"time"
)

// maxSkew is how far a stored time may be ahead of the clock, because the clocks of replicas differ.
const maxSkew = time.Minute

// ahead returns how far ahead the clock was that wrote a time, 0 if by no more than maxSkew.
func ahead(written, now time.Time) time.Duration {
	if d := written.Sub(now); d > maxSkew {
		return d
	}
	return 0
}

// Rewind makes a page count as written now if its times are in the future, because the clock that
// wrote it was ahead or was set back since. All its times in the future move back by the difference.
// Rewind reports whether it moved them.
func (p *Page) Rewind(now time.Time) bool {
	by := ahead(p.UpdatedAt, now)
	if by == 0 {
		return false
	}
	p.UpdatedAt = now
	p.OpenedAt, p.AcknowledgedAt = back(p.OpenedAt, by, now), back(p.AcknowledgedAt, by, now)
	p.DueAt = back(p.DueAt, by, now)
	p.Doc = rewindDoc(p.Doc, by, now)
	return true
}

// Rewind does for a mark what [Page.Rewind] does for a page.
func (m *Mark) Rewind(now time.Time) bool {
	by := ahead(m.At, now)
	if by == 0 {
		return false
	}
	m.At, m.Doc = now, rewindDoc(m.Doc, by, now)
	return true
}

// Rewind does for a message what [Page.Rewind] does for a page.
func (m *Message) Rewind(now time.Time) {
	if by := ahead(m.CreatedAt, now); by > 0 {
		m.CreatedAt, m.ExpiresAt = now, m.ExpiresAt.Add(-by)
	}
	for _, at := range []*time.Time{&m.UpdatedAt, &m.AttemptedAt, &m.AcceptedAt} {
		if at.After(now) {
			*at = now
		}
	}
}

// back moves a time in the future back.
func back(t time.Time, by time.Duration, now time.Time) time.Time {
	if t.After(now) {
		return t.Add(-by)
	}
	return t
}

// stamp matches a time in JSON.
var stamp = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"`)

// rewindDoc moves back the times in a document that are in the future.
func rewindDoc(doc []byte, by time.Duration, now time.Time) []byte {
	return stamp.ReplaceAllFunc(doc, func(quoted []byte) []byte {
		t, err := time.Parse(time.RFC3339Nano, string(quoted[1:len(quoted)-1]))
		if err != nil || !t.After(now) {
			return quoted
		}
		return []byte(t.Add(-by).Format(`"` + time.RFC3339Nano + `"`))
	})
}
