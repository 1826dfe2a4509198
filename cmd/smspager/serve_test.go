package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestKill9 kills the process in the middle of its work, many times. Every notification that got a
// 200 must have been sent exactly once.
func TestKill9(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 20 * time.Millisecond, Command: "sendsms"})
	file := configFile(t, sim, oneReceiver)
	var mu sync.Mutex
	accepted := make(map[string]bool)
	next := 0
	for round := range 6 {
		p := serveProcess(t, file)
		before := len(accepted)
		var posting sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			posting.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					next++
					n := next
					mu.Unlock()
					ids, _ := post(p.url, notification(n))
					mu.Lock()
					for _, id := range ids {
						accepted[id] = true
					}
					mu.Unlock()
				}
			})
		}
		testwait.Until(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			if n := len(accepted) - before; n < 30+20*round {
				return fmt.Errorf("%d notifications were accepted", n)
			}
			return nil
		})
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		close(stop)
		posting.Wait()
		p.wait()
	}
	p := serveProcess(t, file)
	countAccepted := func() (missing, twice int) {
		for id := range accepted {
			switch sim.TimesAccepted(id) {
			case 0:
				missing++
			case 1:
			default:
				twice++
			}
		}
		return missing, twice
	}
	testwait.Until(t, func() error {
		if missing, _ := countAccepted(); missing > 0 {
			return fmt.Errorf("%d of %d accepted were not sent\n%s", missing, len(accepted), p.output())
		}
		return nil
	})
	p.untilIdle() // by now, a message sent twice would have arrived twice
	missing, twice := countAccepted()
	asked := sim.Requests("acme", "getstatus")
	t.Logf("%d accepted, %d missing, %d twice, %d asked for", len(accepted), missing, twice, asked)
	if missing > 0 || twice > 0 {
		t.Errorf("%d messages were accepted, %d of them were not sent, %d sent twice\n%s", len(accepted), missing, twice, p.output())
	}
}

// TestSIGTERMUnderLoad: messages accepted before SIGTERM are sent, before the end or after the next
// start, and the process ends with exit code 0.
func TestSIGTERMUnderLoad(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Latency, Delay: 50 * time.Millisecond, Command: "sendsms"})
	file := configFile(t, sim, oneReceiver)
	p := serveProcess(t, file)
	var posting sync.WaitGroup
	var mu sync.Mutex
	accepted := make(map[string]bool)
	codes := make(map[int]int)
	var end sync.Once // a second signal would end the process immediately
	for client := range 8 {
		posting.Go(func() {
			for n := range 60 {
				ids, code := post(p.url, notification(client*1000+n))
				mu.Lock()
				codes[code]++
				for _, id := range ids {
					accepted[id] = true
				}
				enough := len(accepted) >= 200
				mu.Unlock()
				if enough {
					end.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) })
				}
			}
		})
	}
	posting.Wait()
	if code := p.wait(); code != 0 || !strings.Contains(p.output(), "smspager has stopped") {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	for code := range codes {
		if code != 0 && code != http.StatusOK && code != http.StatusServiceUnavailable {
			t.Errorf("a webhook got %d", code)
		}
	}
	serveProcess(t, file)
	for id := range accepted {
		testwait.Until(t, func() error {
			if sim.TimesAccepted(id) == 0 {
				return fmt.Errorf("message %s was not sent", id)
			}
			return nil
		})
		if n := sim.TimesAccepted(id); n != 1 {
			t.Errorf("message %s was accepted %d times", id, n)
		}
	}
	t.Logf("%d accepted; responses %v", len(accepted), codes)
}

func TestPublicListener(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, oneReceiver), "--public.listen-address=127.0.0.1:0")
	for path, want := range map[string]int{
		p.public + "/textinghouse/" + callbackToken + "/dlr": 400, p.url + "/textinghouse/" + callbackToken + "/dlr": 404,
		p.public + "/alertmanager": 404, p.url + "/alertmanager": 400, p.public + "/-/reload": 404, p.url + "/-/reload": 200,
	} {
		resp, err := http.Post(path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("POST %s responds %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestSIGHUPReloads(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	p := serveProcess(t, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, strings.ReplaceAll(string(text), "name: sms", "name: renamed"))
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.untilLogged("configuration reloaded")
	if _, code := post(p.url, notification(1)); code != http.StatusNotFound {
		t.Errorf("the old receiver responds %d after a reload", code)
	}
	writeFile(t, file, "nonsense: true")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.untilLogged("configuration not reloaded")
	if _, code := post(p.url, strings.Replace(notification(1), `"sms"`, `"renamed"`, 1)); code != http.StatusOK {
		t.Errorf("after a bad reload the receiver responds %d", code)
	}
}

func TestSecondProcessOnOneOutboxEnds(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	serveProcess(t, file)
	out, err := command("serve", "--config.file="+file, "--web.listen-address=127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another smspager") {
		t.Errorf("a second process: %v\n%s", err, out)
	}
}

func TestPortInUseEndsTheProgram(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out, err := command("serve", "--config.file="+configFile(t, sim, oneReceiver), "--web.listen-address="+taken.Addr().String()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("a port in use: %v\n%s", err, out)
	}
}

// TestSecretsStayOut: whatever happens, the log and the metrics hold no secret and no complete
// number.
func TestSecretsStayOut(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	for _, f := range []string{"err=101,times=1,cmd=sendsms", "status=503,times=1", "garbage,times=1", "drop-after,times=1"} {
		fault, err := textinghousetest.ParseFault(f)
		if err != nil {
			t.Fatal(err)
		}
		sim.AddFault(fault)
	}
	p := serveProcess(t, configFile(t, sim, oneReceiver), "--log.level=debug")
	for n := range 3 {
		post(p.url, notification(n))
	}
	resp, err := http.Post(p.url+"/textinghouse/wrong-token-wrong-token/dlr", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.untilLogged("attempt failed") // with the provider's response
	p.untilLogged("callback refused: wrong token or network")
	resp, err = http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"correct horse", "correct+horse", callbackToken, "wrong-token-wrong", "612345678", "33612345"} {
		if strings.Contains(p.output(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, p.output())
		}
		if strings.Contains(string(metrics), secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	if !strings.Contains(p.output(), "level=") {
		t.Error("there is no log")
	}
}

// TestRestore is the day after a crash: serve does not apply the crash's journal to a backup that
// was copied in the outbox's place, and restore replaces the outbox by the backup properly.
func TestRestore(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	dir := t.TempDir()
	outbox, copied := filepath.Join(dir, "outbox.db"), filepath.Join(dir, "backup.db")
	file := configFile(t, sim, "storage: {sqlite: "+outbox+"}"+oneReceiver)
	p := serveProcess(t, file)
	ids, _ := post(p.url, notification(1))
	if code, _, stderr := smspager(t, "", "backup", "-c", file, copied); code != 0 {
		t.Fatal(stderr)
	}
	for n := range 200 {
		post(p.url, notification(2+n))
	}
	if code, _, stderr := smspager(t, "", "restore", "-c", file, copied); code != 1 || !strings.Contains(stderr, "in use by another smspager") {
		t.Errorf("while smspager runs restore exits with %d: %s", code, stderr)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	data, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, outbox, string(data))
	out, err := command("serve", "--config.file="+file, "--web.listen-address=127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not belong to") || !strings.Contains(string(out), "smspager restore") {
		t.Errorf("serve with the journal of another file: %v\n%s", err, out)
	}
	if code, out, stderr := smspager(t, "", "restore", "-c", file, copied); code != 0 || !strings.Contains(out, "holds 1 message\n") || !strings.Contains(out, "is kept as ") {
		t.Fatalf("restore exits with %d: %s%s", code, out, stderr)
	}
	if again, _ := post(serveProcess(t, file).url, notification(1)); !slices.Equal(again, ids) {
		t.Errorf("the restored outbox knows %v, want %v", again, ids)
	}
}

// TestBackup copies the outbox of a serving process, and starts another one on the copy.
func TestBackup(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	p := serveProcess(t, file)
	ids, code := post(p.url, notification(1))
	if code != http.StatusOK {
		t.Fatalf("responds %d", code)
	}
	dir := t.TempDir()
	to := filepath.Join(dir, "copy.db")
	none := filepath.Join(t.TempDir(), "none.yml")
	writeFile(t, none, "textinghouse: {user: acme, password: x}\nreceivers: [{name: r, to: [\"999\"]}]\n")
	if code, _, stderr := smspager(t, "", "backup", "-c", none, to); code != 1 || !strings.Contains(stderr, "there is no outbox yet at ") {
		t.Errorf("without an outbox backup exits with %d: %s", code, stderr)
	}
	if code, out, stderr := smspager(t, "", "backup", "-c", file, to); code != 0 || !strings.Contains(out, "holds 1 message\n") {
		t.Fatalf("exits with %d: %s%s", code, out, stderr)
	}
	if code, _, stderr := smspager(t, "", "backup", "-c", file, to); code != 1 || !strings.Contains(stderr, "exists; name a new file") {
		t.Errorf("backup over an existing file exits with %d: %s", code, stderr)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy's mode is %v (%v)", info.Mode(), err)
	}
	other := configFile(t, sim, "storage: {sqlite: "+to+"}"+oneReceiver)
	restored := serveProcess(t, other)
	if again, _ := post(restored.url, notification(1)); !slices.Equal(again, ids) {
		t.Errorf("the copy knows %v, want %v", again, ids)
	}
}
