package templating

import (
	"slices"
	"strings"
	"testing"
	"time"

	alertmanager "github.com/prometheus/alertmanager/template"
)

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"  It is\tfull \r\n now ":        "It is full\nnow",
		"\x1b[31mERROR\x1b[0m at 5%":     "ERROR at 5%",
		"<p>A <b>b</b><br/>c &lt;d></p>": "A b c <d>",
		"&amp;amp; &amp;lt;x":            "& <x",
		"free < 10 and a<b":              "free < 10 and a<b",
		"see [the wiki](https://x/y)":    "see the wiki",
		"see <https://x/y|the wiki>":     "see the wiki",
		"`a` **b** [c] (d)":              "a b [c] (d)",
		"{% raw %}x{% endraw %}":         "x",
		"<error expanding template: x":   "",
		" \n ":                           "",
	} {
		if got := words(in); got != want {
			t.Errorf("words(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSentences(t *testing.T) {
	for in, want := range map[string][]string{
		"One. Two 2.5 and e.g. Three. 4 more.":      {"One", "Two 2.5 and e.g. Three", "4 more"},
		"It is\nfull.\nCheck it":                    {"It is full", "Check it"},
		"Host db-1.example.com is down":             {"Host db-1.example.com is down"},
		"Why? Because! \"So\"":                      {"Why?", "Because!", `"So"`},
		"first line\n- second":                      {"first line", "- second"},
		"The 1. item of a list is cut at its dot.":  {"The 1. item of a list is cut at its dot"},
		"Version 1.2.3 of app fails. See the docs.": {"Version 1.2.3 of app fails", "See the docs"},
	} {
		if got := sentences(in); !slices.Equal(got, want) {
			t.Errorf("sentences(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestFigures: figures as written, with those that the rule's author wrote in brackets.
func TestFigures(t *testing.T) {
	for in, want := range map[string]string{
		"has 2.718281828% left":                          "2.72%",
		"2 of 5 replicas for 15 minutes":                 "2 of 5 [15]",
		"above 80% (current value: 91.4567 %)":           "[80%] 91.5 %",
		"91 percent, which is above the threshold of 85": "91 [85]",
		"db-01 at 10.9.8.7:9100 runs v1.2.3":             "",
		"error rate .5% over the last 5m":                "0.5% [5m]",
		"used 1.18e+10 bytes, 1e3 and 2.5e-3":            "11.8G 1000 0.0025",
		"> 10k cursors":                                  "[10k]",
		"latency 388.12ms, p99 1.5s":                     "388ms 1.5s",
		"57.7m a second":                                 "0.0577",
		"expires in 3d 13h":                              "[3d] 13h",
		"1,234,567 rows":                                 "1,234,567",
		"eth0 5xx 99th 2nd IPv6":                         "",
		"avoid 100% usage":                               "[100%]",
	} {
		var got []string
		for _, f := range figures(in, nil) {
			if f.constant {
				got = append(got, "["+f.text+"]")
			} else {
				got = append(got, f.text)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("figures(%q) are %q, want %q", in, strings.Join(got, " "), want)
		}
	}
}

func TestRounded(t *testing.T) {
	for in, want := range map[string]string{
		"90.72702599": "90.7", "0.000123456": "0.000123", "48211": "48211", "1234.5678": "1235", "2.0000": "2", "1.18e+10": "11.8G", "0.50": "0.50", "3.10": "3.10", "99.96": "99.96", "99.951": "99.95", "2,718281828": "2,72", "-12.345": "-12.3", "1,234,567": "1,234,567",
	} {
		if got := rounded(in); got != want {
			t.Errorf("rounded(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShortNames(t *testing.T) {
	for in, want := range map[string]string{
		"db-1.example.com:9100": "db-1", "db-1:9100": "db-1", "10.0.0.1:9100": "10.0.0.1", "[fe80::1]:9100": "fe80::1", "fe80::1": "fe80::1",
		"https://shop.example/health/": "shop.example/health", "a.b": "a.b", "host:port": "host:port", "/srv/media": "/srv/media",
	} {
		if got := shortHost(in); got != want {
			t.Errorf("shortHost(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"checkout-api-6c9f7d5b8d-x2lqp": "checkout-api-..x2lqp", "node-exporter-b4xtz": "node-exporter-b4xtz", "db-0": "db-0", "a-6c9f7d5b8d-xaxax": "a-6c9f7d5b8d-xaxax",
	} {
		if got := shortPod(in); got != want {
			t.Errorf("shortPod(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNameWords(t *testing.T) {
	for in, want := range map[string]string{
		"KubePodCrashLooping": "kube pod crash looping", "HTTPErrors5xx": "http errors 5 xx", "node_disk-full": "node disk full", "Backups are late": "backups are late", "PVCFull": "pvc full",
	} {
		if got := strings.Join(nameWords(in), " "); got != want {
			t.Errorf("nameWords(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSeverityRank(t *testing.T) {
	order := [][]string{
		{"P0", "sev0", "SEV-0", "0"},
		{"critical", " Critical ", "CRIT", "emerg", "page", "urgent", "blocker", "fatal", "disaster", "P1", "sev1", "S1", "1", "severity 1", "P1 - Critical", "1 - high", "sev:1"},
		{"high", "error", "P2", "2"},
		{"unheard-of", "P9", "P10", "1st"},
		{"warning", "warn", "P3", "ticket", "minor", "WARNING!"},
		{""},
		{"info", "P4", "p5", "low", "debug", "informational"},
		{"none", "Not classified"},
		{SeverityResolved},
	}
	checkRanks(t, nil, order)
}

// checkRanks checks that all severities of a row rank equal, and that each row is milder than the
// row before it.
func checkRanks(t *testing.T, o *SeverityOrder, rows [][]string) {
	t.Helper()
	for i, same := range rows {
		for _, s := range same {
			if o.Rank(s) != o.Rank(same[0]) {
				t.Errorf("%q ranks %d, %q %d", s, o.Rank(s), same[0], o.Rank(same[0]))
			}
			if i > 0 && o.Rank(s) <= o.Rank(rows[i-1][0]) {
				t.Errorf("%q is not milder than %q", s, rows[i-1][0])
			}
		}
	}
}

func TestSeverityOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		order   []string
		rows    [][]string
		highest []string
		milder  []string // than the highest level
	}{
		"levels": {[]string{"p0", "p1", "p2", "p3"}, [][]string{{"P0", "sev 0"}, {"p1", "Critical", "SEV1", "page"}, {"P2", "error"}, {"strange"}, {"warning", "P3"}, {"info", "", "P4", "none"}, {"resolved"}},
			[]string{" P0 "}, []string{"P1", "critical", ""}},
		"5 is the worst": {[]string{"5", "4", "3", "2", "1"}, [][]string{{"5", "critical", "SEV5"}, {"4", "high"}, {"strange"}, {"3", "warning"}, {"2", "info", "P2"}, {"1"}},
			[]string{"5", "P5", "critical"}, []string{"4", "1"}},
		"words of one's own": {[]string{"Tier One", "tier-two", "warning"}, [][]string{{"critical"}, {"TIER ONE", "tier-one"}, {"tier two"}, {"strange"}, {"warning", "P3"}, {"info"}},
			[]string{"tier one", "critical"}, []string{"tier two", "warning"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewSeverityOrder("", tc.order)
			checkRanks(t, o, tc.rows)
			for _, s := range tc.highest {
				if !o.IsUrgent(s, nil) || o.IsUrgent(s, []string{}) || !o.IsUrgent(s, []string{"x", s + " "}) {
					t.Errorf("%q is urgent: %t by default, %t by an empty list", s, o.IsUrgent(s, nil), o.IsUrgent(s, []string{}))
				}
			}
			for _, s := range tc.milder {
				if o.IsUrgent(s, nil) {
					t.Errorf("%q is urgent", s)
				}
			}
		})
	}
}

func TestLean(t *testing.T) {
	named := func(value string) bool { return value == "db-1" || value == "shop" }
	for in, want := range map[string]string{
		"Latency is 5s, which is above the threshold of 2s": "Latency is 5s (limit 2s)",
		"Disk on db-1 is full in namespace shop":            "Disk is full",
		"Disk on db-2 is full":                              "Disk on db-2 is full",
		"2 failures - on db-1":                              "2 failures",
	} {
		if got := lean(in, named); got != want {
			t.Errorf("lean(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"The pod (a sidecar) fails (5 times)": "The pod fails (5 times)",
	} {
		if got := withoutAsides(in); got != want {
			t.Errorf("withoutAsides(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"It is down for more than 15 minutes": "It is down", "Nobody came for 12 minutes": "Nobody came for 12 minutes", "OSD down for over 5mins": "OSD down", "It ran for over an age": "It ran for over an age",
	} {
		if got := withoutWindow(in); got != want {
			t.Errorf("withoutWindow(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for _, tc := range []struct {
		least, most time.Duration
		want        string
	}{
		{9 * time.Minute, 9 * time.Minute, "9m"},
		{12 * time.Minute, 17 * time.Minute, "12-17m"},
		{45 * time.Minute, 2 * time.Hour, "45m-2h"},
		{16 * time.Minute, 17 * time.Minute, "17m"},
		{0, 0, ""},
	} {
		if got := durations(tc.least, tc.most); got != tc.want {
			t.Errorf("durations(%v, %v) = %q, want %q", tc.least, tc.most, got, tc.want)
		}
	}
}

func TestNatural(t *testing.T) {
	list := []string{"node-10", "node-9", "node-09", "Node", "node", "a1b2", "a1b10"}
	slices.SortFunc(list, natural)
	if want := []string{"Node", "a1b2", "a1b10", "node", "node-9", "node-09", "node-10"}; !slices.Equal(list, want) {
		t.Errorf("the order is %q", list)
	}
}

// TestObject: what is broken, by the labels of exporters, scrapes and OpenTelemetry.
func TestObject(t *testing.T) {
	set, err := New(Options{Objects: []string{"tunnel"}, Ignore: []string{"rack"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ labels, summary, want string }{
		{"exported_instance=db1 instance=prom-edge:9090", "", "exported_instance"},
		{"k8s.pod.name=shop-1 k8s.node.name=n1", "", "k8s.pod.name"},
		{"host.name=web-1 service.name=shop", "", "host.name"},
		{"pod=kube-state-metrics-7c9-x job=kube-state-metrics deployment=api", "", "deployment"},
		{"pod=node-exporter-b4xtz instance=10.1.2.3:9100 mountpoint=/srv", "", "mountpoint"},
		{"instance=db1 topic=billing", "The topic billing lags", "instance"}, // an ordinary word, perhaps by chance
		{"instance=db1 topic=orders.eu", "The topic orders.eu lags", "topic"},
		{"instance=db1 tunnel=ber", "", "tunnel"},
		{"instance=db1 tunnel=ber", "It fails on db1", "tunnel"},
		{"instance=db1 rack=r7", "Rack r7 is hot", "instance"},
		{"instance=10.1.2.3:80 pod=shop-1", "It fails (instance 10.1.2.3:80)", "pod"},
		{"cluster=eu severity=critical team=a", "", ""},
	} {
		a := alertOf(tc.labels, tc.summary)
		d := set.detailOf(&a)
		got := ""
		if object := d.object(); object != nil {
			got = object.name
		}
		if got != tc.want {
			t.Errorf("the object of %s is %q, want %q", tc.labels, got, tc.want)
		}
	}
}

func alertOf(labels, summary string) alertmanager.Alert {
	a := alertmanager.Alert{Status: "firing", Labels: alertmanager.KV{"alertname": "A"}, Annotations: alertmanager.KV{"summary": summary}}
	for pair := range strings.FieldsSeq(labels) {
		name, value, _ := strings.Cut(pair, "=")
		a.Labels[name] = value
	}
	return a
}
