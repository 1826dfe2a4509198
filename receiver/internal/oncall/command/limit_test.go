package command

import (
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	const phone = "+33639980001"
	begin := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		verb           Verb
		gap            time.Duration // between replies
		replies        int           // before the reply in question
		confirm, share bool
	}{
		"the first":             {Acknowledge, time.Second, 0, true, true},
		"fifteen in 10 minutes": {Acknowledge, time.Second, 15, false, true},
		"fifteen in 15 minutes": {Acknowledge, time.Minute, 15, true, true},
		"a hundred a day":       {Acknowledge, 5 * time.Minute, 100, false, true},
		"forty in 10 minutes":   {Acknowledge, time.Second, 40, false, false},
		"six unclear an hour":   {Unknown, time.Minute, 6, false, true},
		"six in six hours":      {Unknown, time.Hour, 6, true, true},
		"twenty unclear a day":  {Unknown, time.Hour, 20, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var l Limit
			now := begin
			for range test.replies {
				confirm, _ := l.Allows(phone, test.verb, now)
				l.Count(phone, test.verb, confirm, now)
				now = now.Add(test.gap)
			}
			if confirm, share := l.Allows(phone, test.verb, now); confirm != test.confirm || share != test.share {
				t.Errorf("confirm is %v and share is %v, want %v and %v", confirm, share, test.confirm, test.share)
			}
			if confirm, share := l.Allows("+33639980002", test.verb, now); !confirm || !share {
				t.Error("another number is limited")
			}
		})
	}
}
