package rota_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/zoneinfo"
	"github.com/smspager/smspager/receiver/internal/people/rota"
)

// peer returns the folder of rrule-temporal, an independent implementation of RFC 5545, 3.3.10.
func peer(t *testing.T) string {
	const install = "npm install --prefix ~/.cache/smspager/calendars rrule-temporal@2.2.8 temporal-polyfill@1.0.8"
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "smspager/calendars/node_modules")
	if _, err := os.Stat(filepath.Join(modules, "rrule-temporal")); err != nil {
		realpart.Missing(t, "rrule-temporal is not installed: "+install)
	}
	return modules
}

// randomRule is a recurring event, and the period in which its occurrences are compared.
type randomRule struct {
	Rule string `json:"rule"`
	From int64  `json:"from"` // milliseconds since 1970
	To   int64  `json:"to"`

	zone    *time.Location
	day     time.Time // the first day
	hour    int       // hour and minute, in wall-clock time
	minute  int
	counted bool
}

// random returns a rule that RFC 5545, 3.3.10, allows. It leaves out what rrule-temporal 2.2.8 reads wrongly:
// in yearly rules, days with a number next to days without, BYYEARDAY with BYDAY, and BYWEEKNO without BYDAY
// (TestClauses has these).
func random(t *testing.T, r *rand.Rand) randomRule {
	zoneName := oneOf(r, "Europe/Paris", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "Etc/UTC")
	zone, err := zoneinfo.Load(zoneName)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(5*365))
	w := randomRule{zone: zone, day: day}
	at := [][2]int{{9, 0}, {9, 0}, {0, 30}, {2, 30}, {1, 45}, {23, 0}, {18, 5}}[r.IntN(7)]
	w.hour, w.minute = at[0], at[1]
	parts := randomParts(r)
	switch r.IntN(4) {
	case 0:
		w.counted = true
		parts = append(parts, fmt.Sprintf("COUNT=%d", 1+r.IntN(60)))
	case 1:
		until := day.AddDate(0, 0, r.IntN(900))
		parts = append(parts, "UNTIL="+until.Format(oneOf(r, "20060102", "20060102T150000Z")))
	}
	start := fmt.Sprintf("%sT%02d%02d00", day.Format("20060102"), w.hour, w.minute)
	w.Rule = fmt.Sprintf("DTSTART;TZID=%s:%s\nRRULE:%s", zoneName, start, strings.Join(parts, ";"))
	if r.IntN(4) == 0 {
		for range 1 + r.IntN(3) {
			w.Rule += fmt.Sprintf("\nEXDATE;TZID=%s:%sT%02d%02d00", zoneName, day.AddDate(0, 0, r.IntN(60)).Format("20060102"), w.hour, w.minute)
		}
	}
	from := day.AddDate(0, 0, r.IntN(1000)-30)
	w.From, w.To = from.UnixMilli(), from.AddDate(0, 0, 30+r.IntN(500)).UnixMilli()
	return w
}

func oneOf(r *rand.Rand, all ...string) string { return all[r.IntN(len(all))] }

// numbers returns up to most numbers between from and to, without 0.
func numbers(r *rand.Rand, most, from, to int) string {
	var list []string
	for range 1 + r.IntN(most) {
		n := from + r.IntN(to-from+1)
		if n != 0 && !slices.Contains(list, fmt.Sprint(n)) {
			list = append(list, fmt.Sprint(n))
		}
	}
	if len(list) == 0 {
		return "1"
	}
	return strings.Join(list, ",")
}

// randomParts returns the parts of a rule except its end.
func randomParts(r *rand.Rand) []string {
	freq := oneOf(r, "DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY")
	parts := []string{"FREQ=" + freq}
	if r.IntN(2) == 0 {
		parts = append(parts, fmt.Sprintf("INTERVAL=%d", 1+r.IntN(6)))
	}
	by := false
	add := func(part string) { parts, by = append(parts, part), true }
	weekNo := freq == "YEARLY" && r.IntN(5) == 0
	yearDay := freq == "YEARLY" && !weekNo && r.IntN(5) == 0
	month := !weekNo && !yearDay && r.IntN(3) == 0
	monthDay := freq != "WEEKLY" && !weekNo && !yearDay && r.IntN(3) == 0
	if weekNo {
		add("BYWEEKNO=" + numbers(r, 3, 2, 51)) // days of the other weeks may be in another year, which programs read differently
	}
	if yearDay {
		add("BYYEARDAY=" + numbers(r, 3, -366, 366))
	}
	if month {
		add("BYMONTH=" + numbers(r, 3, 1, 12))
	}
	if monthDay {
		add("BYMONTHDAY=" + numbers(r, 4, -31, 31))
	}
	if weekNo || !yearDay && r.IntN(2) == 0 {
		chance := 0 // percentage of days with a number
		switch {
		case weekNo || monthDay:
		case freq == "MONTHLY":
			chance = 50
		case freq == "YEARLY":
			chance = 100 * r.IntN(2)
		}
		var days []string
		for range 1 + r.IntN(4) {
			d := oneOf(r, "MO", "TU", "WE", "TH", "FR", "SA", "SU")
			if r.IntN(100) < chance {
				d = oneOf(r, "1", "2", "3", "4", "5", "-1", "-2") + d
			}
			if !slices.Contains(days, d) {
				days = append(days, d)
			}
		}
		add("BYDAY=" + strings.Join(days, ","))
	}
	if by && freq != "DAILY" && r.IntN(4) == 0 && !(freq == "WEEKLY" && month) {
		add("BYSETPOS=" + numbers(r, 2, -3, 3))
	}
	if r.IntN(3) == 0 {
		parts = append(parts, "WKST="+oneOf(r, "SU", "MO", "SA"))
	}
	return parts
}

// there reports whether the clock shows the rule's time of day at a moment. If it does not, a clock change
// skips that time on that day: smspager begins the shift anyway, so that somebody is on duty, but RFC 5545,
// 3.3.10, omits it.
func (w *randomRule) there(at time.Time) bool {
	local := at.In(w.zone)
	return local.Hour() == w.hour && local.Minute() == w.minute
}

// theirs returns the occurrences that the other implementation computes for each rule, as JSON lists.
func theirs(t *testing.T, rules []randomRule) []string {
	modules := peer(t)
	var in bytes.Buffer
	for _, w := range rules {
		line, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	node := exec.Command(realpart.Program(t, "node", "apt-get install nodejs npm"), "testdata/peer.cjs")
	node.Env = append(os.Environ(), "NODE_PATH="+modules)
	node.Stdin, node.Stderr = &in, os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(rules) {
		t.Fatalf("%d of %d lines", len(lines), len(rules))
	}
	return lines
}

// TestPeer compares 2,000 random rules with another implementation.
func TestPeer(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 17))
	var rules []randomRule
	for range 2000 {
		rules = append(rules, random(t, r))
	}
	compared, differ, refused := 0, 0, 0
	for i, line := range theirs(t, rules) {
		w := rules[i]
		var other []int64
		if err := json.Unmarshal([]byte(line), &other); err != nil {
			t.Errorf("%s\nthe other one: %s", w.Rule, line)
			continue
		}
		c, err := rota.ParseCalendar([]byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:alice\nDURATION:PT1S\n"+w.Rule+"\nEND:VEVENT\nEND:VCALENDAR\n"), time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Skipped) > 0 { // the rule has no occurrence
			if refused++; len(other) > 0 {
				t.Errorf("%s\nis refused: %v", w.Rule, c.Skipped)
			}
			continue
		}
		var ours []int64
		from, to := time.UnixMilli(w.From), time.UnixMilli(w.To)
		gaps := false
		for _, s := range c.Shifts(from, to.Add(time.Second)) {
			if !w.there(s.Start) {
				gaps = true
			} else if !s.Start.Before(from) {
				ours = append(ours, s.Start.Unix())
			}
		}
		other = slices.DeleteFunc(other, func(at int64) bool { return !w.there(time.Unix(at, 0)) })
		begins := time.Date(w.day.Year(), w.day.Month(), w.day.Day(), w.hour, w.minute, 0, 0, w.zone)
		if w.counted && (gaps || w.hour < 3) || !w.there(begins) { // the other implementation does not count omitted occurrences
			continue
		}
		if compared++; !slices.Equal(ours, other) {
			if differ++; differ <= 10 {
				t.Errorf("%s\nfrom %s to %s\nours   %v\ntheirs %v", w.Rule, from.UTC(), to.UTC(), ours, other)
			}
		}
	}
	t.Logf("%d rules compared, %d differ, %d refused", compared, differ, refused)
	if compared < len(rules)/2 {
		t.Errorf("only %d rules were compared", compared)
	}
}
