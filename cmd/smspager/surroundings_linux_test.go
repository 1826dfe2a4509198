package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/internal/resident"
	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// piped starts smspager serve with stdout and stderr in a pipe, which the test may read or leave
// unread.
func piped(t *testing.T, file string, args ...string) (cmd *exec.Cmd, pipe *os.File, url string) {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	pipe, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd = command(append([]string{"serve", "--config.file=" + file, "--web.listen-address=" + address}, args...)...)
	cmd.Stdout, cmd.Stderr = end, end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	t.Cleanup(func() { _ = cmd.Process.Kill(); pipe.Close(); _ = cmd.Wait() })
	testwait.Until(t, func() error {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("/-/ready responds %d", resp.StatusCode)
			}
		}
		return err
	})
	return cmd, pipe, "http://" + address
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func sample(t *testing.T, url, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(get(t, url+"/metrics"))
	if m == nil {
		t.Fatalf("no sample %s", name)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLogReaderStalls is scenario-log-reader-stalls.yml: a pipe that nobody reads delays neither
// webhooks nor sends, and lost log lines are counted.
func TestLogReaderStalls(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	_, pipe, url := piped(t, configFile(t, sim, oneReceiver))
	const pipeAndBuffer = 64<<10 + logBuffer
	line := strings.Repeat("x", 2000) // the log holds the whole line
	for n := 0; n*len(line) < pipeAndBuffer+logBuffer/4; n++ {
		resp, err := http.Post(url+"/alertmanager", "application/json", strings.NewReader(strings.Replace(notification(n), `"version"`, `"x":"`+line+`","version"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("a notification gets %d", resp.StatusCode)
		}
		if sample(t, url, "smspager_log_lines_dropped_total") > 0 {
			break
		}
	}
	ids, code := post(url, notification(100_000))
	if code != http.StatusOK {
		t.Fatalf("a notification gets %d", code)
	}
	testwait.Until(t, func() error {
		if n := sim.TimesAccepted(ids[0]); n != 1 {
			return fmt.Errorf("it was sent %d times", n)
		}
		return nil
	})
	go func() { _, _ = io.Copy(io.Discard, pipe) }()
}

// TestLogReaderGone is scenario-log-reader-gone.yml: the program continues when the log's reader is
// gone.
func TestLogReaderGone(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	_, pipe, url := piped(t, configFile(t, sim, oneReceiver))
	if _, code := post(url, notification(1)); code != http.StatusOK {
		t.Fatalf("a notification gets %d", code)
	}
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	ids, code := post(url, notification(2))
	if code != http.StatusOK {
		t.Fatalf("without a reader a notification gets %d", code)
	}
	testwait.Until(t, func() error {
		if n := sim.TimesAccepted(ids[0]); n != 1 {
			return fmt.Errorf("it was sent %d times", n)
		}
		if sample(t, url, "smspager_log_lines_dropped_total") == 0 {
			return fmt.Errorf("no line was dropped")
		}
		return nil
	})
}

// TestFloodOfBrokenRequests: 2,000 broken requests give only a few lines in the log: one a second of each kind.
func TestFloodOfBrokenRequests(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, oneReceiver))
	began := time.Now()
	for range 1000 {
		for _, path := range []string{"/alertmanager", "/textinghouse/wrong/mo"} {
			resp, err := http.Post(p.url+path, "application/json", strings.NewReader("{"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	p.untilLogged("left_out=")
	if lines, seconds := strings.Count(p.output(), "\n"), int(time.Since(began).Seconds()); lines > 60+3*seconds {
		t.Errorf("in %d seconds the log got %d lines", seconds, lines)
	}
}

// TestOpenListenerWarns: smspager warns of an address that everybody can use.
func TestOpenListenerWarns(t *testing.T) {
	const warning = "everybody who reaches this address"
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	for name, tc := range map[string]struct {
		address, tail string
		warns         bool
	}{
		"all interfaces": {":0", "", true},
		"with a token":   {":0", "webhook: {token: secret}\n", false},
		"local":          {"127.0.0.1:0", "", false},
	} {
		p := serveProcess(t, configFile(t, sim, tc.tail+oneReceiver), "--web.listen-address="+tc.address)
		if warns := strings.Contains(p.output(), warning); warns != tc.warns {
			t.Errorf("%s: the log is\n%s", name, p.output())
		}
	}
}

// TestManyLargeBodies: 20 bodies of 3.6 MB that arrive together are all accepted; each waits until
// there is memory for it.
func TestManyLargeBodies(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, oneReceiver))
	memory := func(read func(int) (float64, error)) float64 {
		mb, err := read(p.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return mb
	}
	before := memory(resident.Now)
	var bodies [20]string
	for i := range bodies {
		var alerts []string
		for n := range 9000 {
			alerts = append(alerts, fmt.Sprintf(`{"status":"firing","labels":{"alertname":"A","severity":"warning","instance":"node%05d.example:9100","group":"%d"},"annotations":{"summary":"%s on node %d"},"startsAt":"2026-11-28T03:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example/graph","fingerprint":"%08x%08x"}`,
				n, i, strings.Repeat("text ", 20), n, i, n))
		}
		bodies[i] = fmt.Sprintf(`{"version":"4","receiver":"sms","status":"firing","groupKey":"large %d","alerts":[%s]}`, i, strings.Join(alerts, ","))
	}
	var posting sync.WaitGroup
	for _, body := range bodies {
		posting.Go(func() {
			testwait.Until(t, func() error { // on a slow machine some wait in line for too long: they get 503, and are posted again
				ids, code := post(p.url, body)
				if code != http.StatusOK || len(ids) != 1 {
					return fmt.Errorf("%d MB get %d", len(body)>>20, code)
				}
				return nil
			})
		})
	}
	posting.Wait()
	t.Logf("RSS: %.0f MB before, %.0f MB at most; bodies of %.1f MB", before, memory(resident.Most), float64(len(bodies[0]))/1e6)
	if grown := memory(resident.Most) - before; grown > 4*before { // with -race both are larger
		t.Errorf("RSS grew by %.0f MB", grown)
	}
}

// TestFullOutput: a command whose output cannot be written does not report success.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	for _, args := range [][]string{{"--help"}, {"--version"}, {"check-config", file}, {"preview", "-c", file}, {"who", "-c", file}, {"credit", "-c", file}} {
		var stderr strings.Builder
		if code := run(t.Context(), args, strings.NewReader(""), full, &stderr); code != 1 || !strings.Contains(stderr.String(), "smspager: the output is incomplete: write /dev/full: no space left on device\n") {
			t.Errorf("%v exits with %d: %s", args, code, stderr.String())
		}
	}
}
