package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/internal/status"
)

const (
	// daysPlotted is how many days the plots of texts show, pageDays those of pages, and creditDays those of
	// the credit, whose readings are kept for a week.
	daysPlotted = 30
	pageDays    = 14
	creditDays  = 8
	// halfHours is how many points the plot of a day has.
	halfHours = 48
	// nightsShown is for how many people nights are listed.
	nightsShown = 20
)

// health is what the page of health shows.
type health struct {
	*Frame
	Heading, Lead string
	Out, Inside   []fact
	Beats         []beat
	Day, Month    linePlot
	Segments      barPlot
	Credit        barPlot
	Pages         barPlot
	Nights        []nights
	Texts         int  // the number of messages read
	Cut           when // when the figures of messages begin, if some were left out; zero: they are complete
	ProbesCut     when // the same for probes and for pages
	PagesCut      when
}

func (c *Console) serveHealth(w http.ResponseWriter, r *http.Request) {
	f := c.frame(r, "/health", "Health")
	read, err := c.readFigures(r.Context(), f.now)
	if err != nil {
		c.unreadable(w, r, err)
		return
	}
	s := c.o.State.Status()
	h := &health{Frame: f, Texts: len(read.Texts), Cut: f.when(read.TextsCut), ProbesCut: f.when(read.ProbesCut), PagesCut: f.when(read.PagesCut)}
	known := c.heartbeats(r.Context())
	h.Beats = beats(f, known)
	f.Banner = append(broken(f, &s), late(&s)...)
	for i := range f.Banner {
		f.Banner[i].Text = f.Shown(f.Banner[i].Text)
	}
	h.Out, h.Inside = outbound(f, &s), inside(f, &s)
	h.Heading, h.Lead = verdict(f, &s, read.Texts)
	h.Day, h.Month = dayPlot(f, &read), monthPlot(f, &read)
	h.Segments = segmentPlot(f, read.Texts)
	h.Credit = c.creditPlot(r.Context(), f)
	h.Pages = c.pagePlot(f, read.Pages)
	h.Nights = c.nightsOf(f, read.Texts)
	h.Nights = h.Nights[:min(len(h.Nights), nightsShown)]
	f.Title = h.Heading
	c.render(w, r, http.StatusOK, "health.html", h)
}

// verdict answers whether messages arrive, and how long that takes.
func verdict(f *Frame, s *status.Status, texts []textFigure) (heading, lead string) {
	var took []time.Duration
	lost, slow := 0, 0
	for _, t := range texts {
		if f.now.Sub(t.At) > 24*time.Hour {
			continue
		}
		if t.State.Undelivered() {
			lost++
		}
		if t.Took >= 0 {
			took = append(took, t.Took)
			if t.Took > lateAfter {
				slow++
			}
		}
	}
	lead = "No text was delivered in the last 24" + nbsp + "h."
	if len(took) > 0 {
		lead = fmt.Sprintf("Half within %s and nine of ten within %s in the last 24%sh.", seconds(quantile(took, 0.5)), seconds(quantile(took, 0.9)), nbsp)
		if slow > 0 {
			lead += fmt.Sprintf(" %d of %d took longer than a minute.", slow, len(took))
		}
	}
	switch {
	case s.Account.Refused != "":
		return "Nothing is sent", lead
	case lost == 1:
		return "1 message did not arrive", lead
	case lost > 0:
		return fmt.Sprintf("%d messages did not arrive", lost), lead
	case len(took) == 0 && len(texts) == 0:
		return "No message yet", "When smspager sends texts, their figures are here."
	case len(took) > 0 && 2*slow > len(took):
		return "Messages arrive late", lead
	case len(took) == 0:
		return "No message today", lead
	}
	return "Messages arrive", lead
}

// dayPlot shows the delays of the last 24 hours.
func dayPlot(f *Frame, read *figuresRead) linePlot {
	end := f.now
	var begins []time.Time
	for i := range halfHours + 1 {
		begins = append(begins, end.Add(time.Duration(i-halfHours)*30*time.Minute))
	}
	p := delayPlot("Last 24 hours, half an hour a point", "in the last 24 hours", delaysOf(read, begins), func(i int) string { return f.when(begins[i+1]).hour() })
	p.TableCaption, p.Columns[0] = "Last 24 hours: the half hours until these times with texts", "Until"
	p.Marks = []mark{{"0", "start", f.when(begins[0]).hour()}, {"50%", "middle", f.when(begins[halfHours/2]).hour()}, {"100%", "end", "now"}}
	return p
}

// hour returns the time of day.
func (w when) hour() string { return w.at.In(w.zone).Format("15:04") }

// monthPlot shows the delays of the last 30 days.
func monthPlot(f *Frame, read *figuresRead) linePlot {
	begins := f.dayBegins(daysPlotted)
	p := delayPlot("Last 30 days, a day a point", "in the last 30 days", delaysOf(read, begins), func(i int) string { return f.dayName(begins, i) })
	p.TableCaption, p.Marks = "Last 30 days: days with texts", f.dayMarks(begins)
	return p
}

// dayBegins returns the beginnings of the last days, and the end of today, in the reader's zone.
func (f *Frame) dayBegins(days int) []time.Time {
	var begins []time.Time
	for i := range days + 1 {
		begins = append(begins, f.midnight(f.now, i+1-days))
	}
	return begins
}

// dayName names a day of begins.
func (f *Frame) dayName(begins []time.Time, i int) string {
	if i == len(begins)-2 {
		return "today"
	}
	return strings.ReplaceAll(begins[i].In(f.zone).Format("2 Jan"), " ", nbsp)
}

func (f *Frame) dayMarks(begins []time.Time) []mark {
	return []mark{{"0", "start", f.dayName(begins, 0)}, {"50%", "middle", f.dayName(begins, (len(begins)-1)/2)}, {"100%", "end", "today"}}
}

func delayPlot(caption, over string, all []delays, name func(int) string) linePlot {
	p := linePlot{plot: plot{Caption: caption, Axes: delayAxes(), Columns: []string{"Day", "p50", "p90", "probe"}}, Points: len(all)}
	var p50, p90, probe []time.Duration
	for i, d := range all {
		p50, p90, probe = append(p50, d.P50), append(p90, d.P90), append(probe, d.Probe)
		if d.P50 >= 0 || d.Probe >= 0 {
			p.Rows = append(p.Rows, []string{name(i), seconds(d.P50), seconds(d.P90), seconds(d.Probe)})
		}
	}
	p.Lines = []curve{lineOf("probe", probe), lineOf("p90", p90), lineOf("p50", p50)}
	p.Aria = "Time to delivery " + over + ": " + inWords("p50", p50) + "; " + inWords("p90", p90) + "; " + inWords("probe", probe)
	return p
}

// inWords describes a line in words.
func inWords(name string, values []time.Duration) string {
	known := slices.DeleteFunc(slices.Clone(values), func(d time.Duration) bool { return d < 0 })
	if len(known) == 0 {
		return name + " none"
	}
	most := slices.Max(known)
	return fmt.Sprintf("%s about %s, at most %s", name, seconds(quantile(known, 0.5)), seconds(most))
}

// segmentPlot shows how many segments the provider accepted each day. It leaves out probes, which are free.
func segmentPlot(f *Frame, texts []textFigure) barPlot {
	begins := f.dayBegins(daysPlotted)
	days := make([][]float64, daysPlotted)
	total := 0.0
	for _, t := range texts {
		if i := bucket(begins, t.At); i >= 0 && !t.Sent.IsZero() {
			if days[i] == nil {
				days[i] = []float64{0}
			}
			days[i][0] += float64(t.Segments)
			total += float64(t.Segments)
		}
	}
	p := f.barsOf(begins, days, []legend{{"bar", "", "Segments"}})
	if total > 0 {
		p.Caption = fmt.Sprintf("%s in 30 days, %s a day", thousands(total), thousands(math.Ceil(total/daysPlotted)))
	}
	p.Aria, p.TableCaption = "Segments per day in the last 30 days: "+p.Aria, "Segments, days with texts"
	return p
}

// barsOf returns a plot of daily amounts of one or more kinds.
func (f *Frame) barsOf(begins []time.Time, days [][]float64, kinds []legend) barPlot {
	p := barPlot{plot: plot{Columns: []string{"Day"}, Marks: f.dayMarks(begins)}}
	for i := range kinds {
		kinds[i].Fill = shade(kinds[i].Class)
		p.Columns = append(p.Columns, kinds[i].Name)
	}
	if len(kinds) > 1 {
		p.Legend = kinds
	}
	least, most := -1.0, 1.0
	for _, values := range days {
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		most = max(most, sum)
		if least < 0 || sum < least {
			least = sum
		}
	}
	top := scale(most)
	p.Axes = amountAxes(top)
	any := false
	for i, values := range days {
		if values == nil {
			continue
		}
		any = true
		p.Bars = append(p.Bars, stack(i, len(days), top, values, kinds)...)
		row := []string{f.dayName(begins, i)}
		for _, v := range values {
			row = append(row, thousands(v))
		}
		p.Rows = append(p.Rows, row)
	}
	if p.Aria = "none"; any {
		p.Aria = fmt.Sprintf("between %s and %s", thousands(max(least, 0)), thousands(most))
	}
	return p
}

// creditPlot shows the credit at the end of each day.
func (c *Console) creditPlot(ctx context.Context, f *Frame) barPlot {
	readings, err := c.o.State.Credits(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.o.Logger.Error("cannot read the credit's readings", "err", err)
		}
		return barPlot{}
	}
	begins := f.dayBegins(creditDays)
	days := make([][]float64, creditDays)
	for _, r := range readings {
		if i := bucket(begins, r.At); i >= 0 {
			days[i] = []float64{max(r.Left, 0)} // later readings replace earlier ones
		}
	}
	p := f.barsOf(begins, days, []legend{{"bar", "", "Credit"}})
	p.Caption = "At the end of the day, in the provider’s unit"
	p.Aria, p.TableCaption = "Credit in the last days: "+p.Aria, "Credit at the end of the day"
	return p
}

// pagePlot shows how many pages opened each day, by severity.
func (c *Console) pagePlot(f *Frame, pages []pageFigure) barPlot {
	begins := f.dayBegins(pageDays)
	days := make([][]float64, pageDays)
	kinds := []legend{{Class: "f-crit", Name: "critical"}, {Class: "f-warn", Name: "warning"}, {Class: "f-info", Name: "others"}}
	for _, p := range pages {
		i := bucket(begins, p.At)
		if i < 0 {
			continue
		}
		if days[i] == nil {
			days[i] = make([]float64, len(kinds))
		}
		days[i][severityKind(f.severityOf(c.order(), p.Severity))]++
	}
	p := f.barsOf(begins, days, kinds)
	p.Caption = "Last 14 days"
	p.Aria, p.TableCaption = "Pages per day in the last 14 days by severity: "+p.Aria, "Pages that opened, days with pages"
	return p
}

// severityKind returns the index of a severity among the kinds of pagePlot.
func severityKind(s severity) int {
	switch s.Class {
	case "is-crit":
		return 0
	case "is-warn":
		return 1
	}
	return 2
}
