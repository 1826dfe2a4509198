package rota

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// duplicateZone is a time zone that events use and that both the file and the database define.
type duplicateZone struct {
	name     string
	own      *defined
	database location
	ownUsed  bool // events use the file's definition
}

// duplicates returns the zones in use that both the file and the database define.
func (z *zones) duplicates() []duplicateZone {
	var all []duplicateZone
	for name, used := range z.known {
		component := z.defined[name]
		database, known := behind(name)
		if component == nil || !known {
			continue
		}
		if own, err := parseTimezone(component); err == nil {
			_, ownUsed := used.(*defined)
			all = append(all, duplicateZone{name, own, database, ownUsed})
		}
	}
	slices.SortFunc(all, func(a, b duplicateZone) int { return strings.Compare(a.name, b.name) })
	return all
}

// Disagreement is a difference between the offsets of a time zone in a calendar and in the database.
type Disagreement struct {
	Zone          string
	At            time.Time     // when it begins, in the database's zone
	Own, Database time.Duration // the offsets from UTC at that moment
	OwnUsed       bool          // the calendar's offset is used
}

func (d Disagreement) String() string {
	counts := "the latter counts; if the calendar is right, update the time zone data (tzdata)"
	if d.OwnUsed {
		counts = "the former counts; if it is wrong, have the calendar's program write it again"
	}
	return fmt.Sprintf("from %s the time zone %.60q is %s in the calendar, but %s in the time zone data: %s",
		d.At.Format("Mon 2 Jan 2006 15:04 MST"), d.Zone, utc(d.Own), utc(d.Database), counts)
}

// utc formats an offset as "UTC-05:00".
func utc(offset time.Duration) string {
	return "UTC" + time.Unix(0, 0).In(time.FixedZone("", int(offset/time.Second))).Format("-07:00")
}

// Disagreements returns, for each time zone that the calendar and the database define differently,
// the first moment between from and to at which their offsets differ.
func (c *Calendar) Disagreements(from, to time.Time) []Disagreement {
	var all []Disagreement
	from = from.Truncate(time.Second)
	for _, r := range c.duplicates {
		moments := []time.Time{from} // the moments when either offset may change
		for _, change := range r.own.changes {
			moments = append(moments, change.moment())
		}
		for _, end := from.In(r.database.Location).ZoneBounds(); !end.IsZero() && end.Before(to); _, end = end.ZoneBounds() {
			moments = append(moments, end)
		}
		slices.SortFunc(moments, time.Time.Compare)
		for _, at := range moments {
			own, database := r.own.wall(at).Sub(at), r.database.wall(at).Sub(at)
			if !at.Before(from) && at.Before(to) && own != database {
				all = append(all, Disagreement{r.name, at.In(r.database.Location), own, database, r.ownUsed})
				break
			}
		}
	}
	return all
}
