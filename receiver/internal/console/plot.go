package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// percent formats a share for an attribute of an SVG.
func percent(share float64) string {
	return strconv.FormatFloat(100*min(max(share, 0), 1), 'f', 2, 64) + "%"
}

// plotBottom is the y coordinate of a plot's lowest axis, and plotTop that of the highest.
const (
	plotBottom = 110.0
	plotTop    = 10.0
)

// axis is a horizontal line of a plot, with its label.
type axis struct {
	Y, TextY float64
	Label    string
}

// mark is a label below a plot.
type mark struct{ X, Anchor, Label string }

// plot holds what all kinds of plots have.
type plot struct {
	Caption, Aria string
	Axes          []axis
	Marks         []mark
	Columns       []string // of the table: the name of the rows, then of the values
	Rows          [][]string
	TableCaption  string
}

// linePlot shows delivery times on a logarithmic axis.
type linePlot struct {
	plot
	Points int
	Lines  []curve
}

// curve is a line of a plot, with gaps where values are missing.
type curve struct {
	Class string
	Parts []string // each one holds the points of a polyline
}

// barPlot shows amounts for each day.
type barPlot struct {
	plot
	Bars   []bar
	Legend []legend
}

type bar struct {
	Class, Fill, X, Width string
	Y, Height             float64
}

type legend struct {
	Class, Fill, Name string
}

// logY returns the y coordinate of a delivery time: 1 s or less at the bottom, 10 min at the top.
func logY(d time.Duration) float64 {
	y := plotBottom - (plotBottom-plotTop)*math.Log(max(d.Seconds(), 1))/math.Log(600)
	return max(y, plotTop-6)
}

// delayAxes returns the axes for delivery times.
func delayAxes() []axis {
	var all []axis
	for _, a := range []struct {
		at    time.Duration
		label string
	}{{time.Second, "1 s"}, {10 * time.Second, "10 s"}, {time.Minute, "1 min"}, {10 * time.Minute, "10 min"}} {
		y := rounded(logY(a.at))
		all = append(all, axis{y, y + 4, strings.ReplaceAll(a.label, " ", nbsp)})
	}
	return all
}

// lineOf returns a line with a value for each point; a negative value is missing.
func lineOf(class string, values []time.Duration) curve {
	l := curve{Class: class}
	var part []string
	end := func() {
		if len(part) == 1 { // draw a dot
			x, y, _ := strings.Cut(part[0], ",")
			at, _ := strconv.ParseFloat(x, 64) // it was formatted below
			part = []string{fmt.Sprintf("%.1f,%s", at-0.4, y), fmt.Sprintf("%.1f,%s", at+0.4, y)}
		}
		if len(part) > 0 {
			l.Parts = append(l.Parts, strings.Join(part, " "))
		}
		part = nil
	}
	for i, v := range values {
		if v < 0 {
			end()
			continue
		}
		part = append(part, fmt.Sprintf("%.1f,%.1f", float64(i)+0.5, logY(v)))
	}
	end()
	return l
}

// scale returns the top value of an axis for amounts up to a maximum: a round number that can be halved.
func scale(most float64) float64 {
	for unit := 1.0; ; unit *= 10 {
		for _, n := range []float64{2, 4, 6, 8, 10} {
			if n*unit >= most {
				return n * unit
			}
		}
	}
}

// amountAxes returns the axes for amounts: at 0, half and all of the scale.
func amountAxes(top float64) []axis {
	var all []axis
	for _, share := range []float64{0, 0.5, 1} {
		y := plotBottom - (plotBottom-plotTop)*share
		all = append(all, axis{y, y + 4, inShort(top * share)})
	}
	return all
}

// stack returns the bars of one of several days, from the bottom up.
func stack(day, days int, top float64, values []float64, looks []legend) []bar {
	const gap = 1.0 // pixel between bars
	var all []bar
	y := plotBottom
	for i, v := range values {
		if v <= 0 {
			continue
		}
		height := (plotBottom - plotTop) * v / top
		y -= height
		b := bar{Class: looks[i].Class, Fill: looks[i].Fill, X: percent((float64(day) + 0.2) / float64(days)), Width: percent(0.6 / float64(days)), Y: rounded(y), Height: rounded(max(height-gap, 0.5))}
		all = append(all, b)
	}
	return all
}

func rounded(v float64) float64 { return math.Round(10*v) / 10 }

// thousands formats an amount with commas: "1,941".
func thousands(v float64) string {
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// inShort formats an amount for narrow places: "1,941", "20k", "1.5M".
func inShort(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return thousands(v)
}

// shade returns the fill for bars of a class, if the class is hatched.
func shade(class string) string {
	if class == "f-warn" {
		return "url(#wh)"
	}
	return ""
}

// seconds formats a delivery time: "4.2 s", "1 min 35 s".
func seconds(d time.Duration) string {
	if d < 0 {
		return "–"
	}
	words := span(d, true)
	if d < 20*time.Second {
		words = fmt.Sprintf("%.1f s", d.Seconds())
	}
	return strings.ReplaceAll(words, " ", nbsp)
}
