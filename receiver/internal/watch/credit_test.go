package watch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/smspager/smspager/receiver/config"
)

// TestCreditLasts: the metric shows how long the credit lasts, and forgets it when nothing has been spent for a week.
// An old value would keep its alert.
func TestCreditLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{credit: 1000}
		w, _ := run(t, f, &config.Config{}, Options{})
		days := func() float64 { return testutil.ToFloat64(w.account.lasts) / 86400 }
		for range 30 {
			time.Sleep(time.Hour)
			f.mu.Lock()
			f.credit -= 10
			f.mu.Unlock()
		}
		synctest.Wait()
		if got := days(); got < 2.5 || got > 3.5 {
			t.Errorf("700 segments last %.1f days at 10 an hour", got)
		}
		time.Sleep(9 * 24 * time.Hour)
		synctest.Wait()
		if got := days(); got != 0 {
			t.Errorf("after a week without spending the credit lasts %.1f days, want not known (0)", got)
		}
	})
}
