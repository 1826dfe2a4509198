package house_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/freeport"
	"github.com/smspager/smspager/internal/testwait"
)

// TestREADME carries out README's section "Run it" in order, in an empty folder: the build, its
// configuration with a simulated provider, and each line that begins with ./smspager.
func TestREADME(t *testing.T) {
	readme := text(t, "README.md")
	_, run, _ := strings.Cut(readme, "\n## Run it\n")
	run, _, _ = strings.Cut(run, "\n## Read on\n")
	blocks := regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```").FindAllStringSubmatch(run, -1)
	if len(blocks) < 4 || blocks[0][2] != "go build ./cmd/smspager\n" {
		t.Fatalf("README's blocks are %q", blocks)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/smspager").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	background := func(args ...string) {
		cmd := exec.Command(filepath.Join(dir, "smspager"), args...)
		cmd.Dir = dir
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("%v:\n%s", args, &log)
			}
		})
	}
	provider, address := free(t), free(t)
	background("simulate", "--listen="+provider, "--password=secret", "--delay=10ms")
	until(t, "http://"+provider)
	config := strings.Replace(blocks[1][2], "{user: acme,", "{user: acme, endpoints: [\"http://"+provider+"/http/v1/do\"],", 1)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("smspager.yml", config)
	write("textinghouse.password", "secret\n")
	commands := 0
	for _, block := range blocks[2:] {
		if block[1] != "sh" {
			continue
		}
		for line := range strings.Lines(block[2]) {
			line = strings.TrimSpace(line)
			command, ours := strings.CutPrefix(line, "./smspager ")
			switch {
			case strings.HasPrefix(line, "smspager "):
				t.Errorf("a fresh shell does not find the program of %q", line)
			case ours && strings.HasPrefix(command, "serve "):
				background(append(strings.Fields(command), "--web.listen-address="+address)...)
				until(t, "http://"+address+"/-/ready")
				post(t, "http://"+address+"/alertmanager", strings.Replace(text(t, "receiver/testdata/payloads/01-single-firing-critical.json"), `"receiver":"sms"`, `"receiver":"oncall"`, 1))
			case ours, strings.HasPrefix(line, "curl "):
				shell(t, dir, strings.ReplaceAll(line, "localhost:9879", address))
			default: // amtool needs an Alertmanager
				continue
			}
			commands++
		}
	}
	if commands < 4 {
		t.Errorf("README has only %d commands to run", commands)
	}
}

func free(t *testing.T) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func shell(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// until waits until a URL responds with a status below 500.
func until(t *testing.T, url string) {
	t.Helper()
	testwait.Until(t, func() error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 500 {
			return fmt.Errorf("%s responds %s", url, resp.Status)
		}
		return nil
	})
}

func post(t *testing.T, url, body string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s responds %s", url, resp.Status)
	}
}
