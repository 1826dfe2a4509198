package templating

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/templating/gsm7"
)

// funcs returns the functions that templates can call: Alertmanager's, with an injected clock,
// those that suit an SMS, and those that the built-in templates consist of. docs/templates.md shows
// each.
func funcs(in *instance) template.FuncMap {
	fm := template.FuncMap{}
	maps.Copy(fm, template.FuncMap(alertmanager.DefaultFuncs))
	maps.Copy(fm, template.FuncMap{
		"now":   func() time.Time { return in.now() },
		"since": func(t time.Time) time.Duration { return in.now().Sub(t) },
		// Alertmanager executes a route label as a template; here labels are data.
		"routeLabels": func(name string) string { return in.view.RouteLabels[name] },

		"tail":     in.beginTail,
		"duration": Duration,
		"clock":    func(t time.Time) string { return clock(t, in.now(), in.zone) },
		"short":    func(septets int, v any) string { return shortened(fmt.Sprint(v), septets, in.set.to) },
		"cheap":    func(v any) string { return gsm7.Cheap(gsm7.Transliterate(fmt.Sprint(v), in.set.to)) },
		"uniq":     uniq,
		"list":     list,
		"plural":   plural,

		"severity": in.severity,
		"subject":  in.subject,
		"object":   in.object,
		"sentence": in.sentence,
		"value":    in.value,
		"differ":   in.differ,
		"lines":    in.lines,
		"resolved": in.resolved,
		"start":    in.start,
		"spread":   in.spread,
		"counts":   in.counts,
		"watchdog": func(any) bool { return in.c.name == "Watchdog" || in.c.name == "DeadMansSwitch" },
		"age":      in.age,
		"joined":   joined,

		valueFunc: in.written,
	})
	maps.Copy(fm, in.effort.funcs())
	return fm
}

// beginTail makes what follows the tail, the part of the text that is never cut.
func (in *instance) beginTail() string {
	in.tail = in.out.Len()
	return ""
}

// written returns what is written of a value: all of it, or as much as the limit allows.
func (in *instance) written(v any) any {
	if in.tail >= 0 || !in.values {
		return v
	}
	s, ok := v.(string)
	if !ok {
		s = fmt.Sprint(v)
	}
	const plenty = 16 << 10 // bytes; no text is that long
	if len(s) > plenty {
		s = s[:plenty]
	}
	units := gsm7.Measure(gsm7.Transliterate(s, in.set.to)).Units
	in.longest = max(in.longest, units)
	if in.limit == 0 || units <= in.limit {
		return v
	}
	short := shortened(s, in.limit, in.set.to)
	if what := (Shortening{From: s, To: short}); !slices.Contains(in.shortened, what) {
		in.shortened = append(in.shortened, what)
	}
	return short
}

// shortened keeps both ends of a name, and the beginning of words.
func shortened(s string, septets int, to gsm7.Alphabet) string {
	s = gsm7.Transliterate(s, to)
	if gsm7.Measure(s).Units <= septets {
		return s
	}
	if strings.ContainsAny(s, " \n") || strings.Contains(s, "://") {
		return gsm7.TruncateUnits(s, septets)
	}
	return gsm7.Shorten(s, septets)
}

// Duration returns a length of time with its two largest units: "45s", "7m", "2h14m",
// "3d4h". It is "" for 0 and less.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(large time.Duration, largeUnit string, small time.Duration, smallUnit string) string {
		s := fmt.Sprintf("%d%s", d/large, largeUnit)
		if rest := d % large / small; rest > 0 {
			s += fmt.Sprintf("%d%s", rest, smallUnit)
		}
		return s
	}
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(1, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return two(time.Hour, "h", time.Minute, "m")
	}
	return two(day, "d", time.Hour, "h")
}

// clock returns a time of day: "03:14", on another day "Mon 03:14", six or more days away "3 Nov
// 03:14". Without a zone it is "03:14 UTC".
func clock(t, now time.Time, zone *time.Location) string {
	layout := "15:04"
	if zone == nil {
		zone = time.UTC
		layout += " UTC"
	}
	t, now = t.In(zone), now.In(zone)
	const week = 6 * 24 * time.Hour
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
	case now.Sub(t).Abs() < week:
		layout = "Mon " + layout
	default:
		layout = "2 Jan " + layout
	}
	return t.Format(layout)
}

// uniq returns the different values in the order in which they come: of strings, or of a label of
// alerts. Alerts without the label are left out.
//
//	uniq STRINGS
//	uniq LABEL ALERTS
func uniq(args ...any) ([]string, error) {
	var values []string
	switch len(args) {
	case 1:
		strings, err := toStrings(args[0])
		if err != nil {
			return nil, fmt.Errorf("uniq: %w", err)
		}
		values = strings
	case 2:
		label, isString := args[0].(string)
		alerts, isAlerts := toAlerts(args[1])
		if !isString || !isAlerts {
			return nil, fmt.Errorf("uniq: wants a label's name and alerts, as in {{ .Alerts | uniq \"instance\" }}, has %T and %T", args[0], args[1])
		}
		for _, a := range alerts {
			if value := a.Labels[label]; value != "" {
				values = append(values, value)
			}
		}
	default:
		return nil, fmt.Errorf("uniq: wants strings, or a label's name and alerts, has %d arguments", len(args))
	}
	seen := make(map[string]bool, len(values))
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool {
		if seen[value] {
			return true
		}
		seen[value] = true
		return false
	}), nil
}

func toAlerts(v any) (alertmanager.Alerts, bool) {
	switch alerts := v.(type) {
	case alertmanager.Alerts:
		return alerts, true
	case []alertmanager.Alert:
		return alerts, true
	}
	return nil, false
}

func toStrings(v any) ([]string, error) {
	if s, ok := v.([]string); ok {
		return s, nil
	}
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Slice {
		return nil, fmt.Errorf("wants a list of strings, has %T", v)
	}
	values := make([]string, r.Len())
	for i := range values {
		values[i] = fmt.Sprint(r.Index(i).Interface())
	}
	return values, nil
}

// list returns the first NUMBER strings and how many more there are: "db-01, db-02 +3". With any
// other arguments it does what Alertmanager's list does: it returns the arguments as a list.
//
//	list NUMBER STRINGS
func list(args ...any) (any, error) {
	if len(args) == 2 {
		number, isNumber := args[0].(int)
		values, err := toStrings(args[1])
		if isNumber && err == nil {
			shown := min(max(number, 0), len(values))
			text := strings.Join(values[:shown], ", ")
			if rest := len(values) - shown; rest > 0 {
				text = strings.TrimSpace(fmt.Sprintf("%s +%d", text, rest))
			}
			return text, nil
		}
	}
	if args == nil {
		args = []any{}
	}
	return args, nil
}

// Counted returns a number with its noun: "1 alert", "3 alerts".
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// plural returns a number and its noun: "1 alert", "3 alerts". PLURAL is needed if it is not
// SINGULAR with an s.
//
//	plural NUMBER SINGULAR [PLURAL]
func plural(number any, singular string, other ...string) (string, error) {
	if len(other) > 1 {
		return "", fmt.Errorf("plural: takes at most one plural of %q, got %d", singular, len(other))
	}
	text := fmt.Sprint(number)
	switch {
	case text == "1":
		return text + " " + singular, nil
	case len(other) == 1:
		return text + " " + other[0], nil
	}
	return text + " " + singular + "s", nil
}
